package server

import (
	"net/http"

	"github.com/labstack/echo/v4"
)

const (
	indexer = "/indexer/api/v1"
	matcher = "/matcher/api/v1"

	openapiPath = "/openapi/v1"
)

// route is an address with who may use it.
type route struct {
	method, path string
	role         role
	handle       echo.HandlerFunc
}

// routes is every address there is, and the one place that says which role it
// wants. Tokens of Clair's clients are an admin's.
func (s *Server) routes(e *echo.Echo) {
	metrics := roleRead
	if s.OpenMetrics {
		metrics = roleOpen
	}
	for _, r := range []route{
		{http.MethodPost, indexer + "/index_report", roleScan, s.postIndexReport},
		{http.MethodPut, indexer + "/index_report/*", roleScan, s.putIndexReport},
		{http.MethodGet, indexer + "/index_report/*", roleRead, s.getIndexReport},
		{http.MethodDelete, indexer + "/index_report/*", roleAdmin, s.deleteIndexReport},
		{http.MethodDelete, indexer + "/index_report", roleAdmin, s.deleteIndexReports},
		{http.MethodGet, indexer + "/index_state", roleRead, s.getIndexState},
		{http.MethodPost, indexer + "/internal/affected_manifest", roleRead, s.postAffectedManifests},
		{http.MethodPost, indexer + "/internal/affected_manifest/", roleRead, s.postAffectedManifests},

		{http.MethodGet, matcher + "/vulnerability_report/*", roleRead, s.getVulnerabilityReport},
		{http.MethodGet, matcher + "/internal/update_operation", roleRead, s.getUpdateOperations},
		{http.MethodDelete, matcher + "/internal/update_operation/*", roleAdmin, s.deleteUpdateOperation},
		{http.MethodGet, matcher + "/internal/update_diff", roleRead, s.getUpdateDiff},

		{http.MethodGet, openapiPath, roleRead, s.getOpenAPI},
		{http.MethodGet, "/openapi", roleRead, s.getOpenAPIPage},
		{http.MethodGet, "/metrics", metrics, s.getMetrics()},
		{http.MethodGet, "/healthz", roleOpen, s.healthz},
		{http.MethodGet, "/readyz", roleOpen, s.readyz},
		{http.MethodGet, "/robots.txt", roleOpen, robots},
	} {
		e.Add(r.method, r.path, r.handle)
		s.wanted[r.method+" "+r.path] = r.role
		if r.role == roleOpen {
			s.openPaths[r.path] = true
		}
	}
}

// healthz says that the process answers.
func (s *Server) healthz(c echo.Context) error {
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
