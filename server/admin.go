package server

import (
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"

	"oriel/clair"
	"oriel/internal/api"
)

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
	return answerJSON(c, http.StatusOK, typeJSON, api.Vacuumed{FreedBytes: freed})
}
