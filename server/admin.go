package server

import (
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"

	"oriel/clair"
)

// Vacuumed is the response to POST /admin/v1/vacuum.
type Vacuumed struct {
	FreedBytes int64 `json:"freed_bytes"`
}

// postVacuum vacuums the database in short steps and then answers. If the
// request is canceled, the steps taken so far remain.
func (s *Server) postVacuum(c echo.Context) error {
	if s.Vacuum == nil {
		return fmt.Errorf("%w: this server does not own its database", clair.ErrUnavailable)
	}
	freed, err := s.Vacuum(c.Request().Context())
	if err != nil {
		return err
	}
	return answerJSON(c, http.StatusOK, typeJSON, Vacuumed{freed})
}
