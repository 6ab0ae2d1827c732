package server

import "github.com/labstack/echo/v4"

func (s *Server) getOpenAPI(c echo.Context) error     { return echo.ErrNotFound }
func (s *Server) getOpenAPIPage(c echo.Context) error { return echo.ErrNotFound }
