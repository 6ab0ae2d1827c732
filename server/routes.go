package server

import (
	"net/http"

	"github.com/labstack/echo/v4"
)

const (
	indexer = "/indexer/api/v1"
	matcher = "/matcher/api/v1"
	windows = "/patches/v1"
)

// route is an address and what answers there.
type route struct {
	method, path string
	handle       echo.HandlerFunc
}

// routes is every address there is.
func (s *Server) routes(e *echo.Echo) {
	for _, r := range append(s.patchesRoutes(), []route{
		{http.MethodPost, indexer + "/index_report", s.postIndexReport},
		{http.MethodPut, indexer + "/index_report/*", s.putIndexReport},
		{http.MethodGet, indexer + "/index_report/*", s.getIndexReport},
		{http.MethodDelete, indexer + "/index_report/*", s.deleteIndexReport},
		{http.MethodDelete, indexer + "/index_report", s.deleteIndexReports},
		{http.MethodGet, indexer + "/index_state", s.getIndexState},
		{http.MethodPost, indexer + "/internal/affected_manifest", s.postAffectedManifests},
		{http.MethodPost, indexer + "/internal/affected_manifest/", s.postAffectedManifests},

		{http.MethodGet, matcher + "/vulnerability_report/*", s.getVulnerabilityReport},
		{http.MethodGet, matcher + "/internal/update_operation", s.getUpdateOperations},
		{http.MethodDelete, matcher + "/internal/update_operation/*", s.deleteUpdateOperation},
		{http.MethodGet, matcher + "/internal/update_diff", s.getUpdateDiff},

		{http.MethodGet, "/healthz", s.healthz},
		{http.MethodGet, "/readyz", s.readyz},
		{http.MethodGet, "/robots.txt", robots},
	}...) {
		e.Add(r.method, r.path, r.handle)
	}
}

// healthz says that the process answers.
func (s *Server) healthz(c echo.Context) error {
	c.Response().Header().Set("X-Content-Type-Options", "nosniff")
	return c.String(http.StatusOK, "ok")
}

// readyz says whether requests are welcome: not while the server drains.
func (s *Server) readyz(c echo.Context) error {
	c.Response().Header().Set("Cache-Control", "no-store")
	if s.draining.Load() {
		return c.NoContent(http.StatusServiceUnavailable)
	}
	return c.NoContent(http.StatusOK)
}

func robots(c echo.Context) error {
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.String(http.StatusOK, "User-agent: *\nDisallow: /\n")
}
