package server

import (
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"

	"oriel/clair"
)

// Vacuumed is the answer of POST /admin/v1/vacuum.
type Vacuumed struct {
	FreedBytes int64 `json:"freed_bytes"`
}

// postVacuum answers when it is done. It goes in short steps, and one that is
// broken off loses nothing.
func (s *Server) postVacuum(c echo.Context) error {
	if s.Vacuum == nil {
		return fmt.Errorf("%w: the database is not this server's to vacuum", clair.ErrUnavailable)
	}
	freed, err := s.Vacuum(c.Request().Context())
	if err != nil {
		return err
	}
	return answerJSON(c, http.StatusOK, typeJSON, Vacuumed{freed})
}
