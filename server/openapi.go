package server

import (
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"
)

// openapiTypes lists the media types of the description, in Clair's order.
var openapiTypes = []string{
	"application/openapi+json", "application/openapi+yaml", typeJSON, "application/yaml",
	"application/vnd.oai.openapi+json", "application/vnd.oai.openapi+yaml",
}

func (s *Server) getOpenAPI(c echo.Context) error {
	media, err := negotiate(c.Request(), openapiTypes...)
	if err != nil {
		return err
	}
	d, err := s.document()
	if err != nil {
		return err
	}
	text, tag := d.JSON, d.Tag+"-json"
	if strings.HasSuffix(media, "yaml") {
		text, tag = d.YAML, d.Tag+"-yaml"
	}
	c.Response().Header().Set("Etag", quoted(tag))
	if hasTag(c.Request(), tag) {
		return c.NoContent(http.StatusNotModified)
	}
	return c.Blob(http.StatusOK, media, text)
}

func (s *Server) getOpenAPIPage(c echo.Context) error {
	d, err := s.document()
	if err != nil {
		return err
	}
	c.Response().Header().Set("Content-Security-Policy", contentPolicy+"; style-src "+d.Style)
	return c.HTMLBlob(http.StatusOK, d.Page)
}
