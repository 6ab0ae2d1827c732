package server

import (
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"
)

const (
	indexer = "/indexer/api/v1"
	matcher = "/matcher/api/v1"
	// The APIs whose routes are counted beside these, once they are there.
	notifier = "/notifier/api/v1"
	windows  = "/patches/v1"

	openapiPath = "/openapi/v1"
	operating   = "/admin/v1"
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
	metrics := read
	if s.OpenMetrics {
		metrics = open
	}
	for _, r := range append(s.patchesRoutes(), []route{
		{http.MethodPost, indexer + "/index_report", scan, s.postIndexReport},
		{http.MethodPut, indexer + "/index_report/*", scan, s.putIndexReport},
		{http.MethodGet, indexer + "/index_report/*", read, s.getIndexReport},
		{http.MethodDelete, indexer + "/index_report/*", admin, s.deleteIndexReport},
		{http.MethodDelete, indexer + "/index_report", admin, s.deleteIndexReports},
		{http.MethodGet, indexer + "/index_state", read, s.getIndexState},
		{http.MethodPost, indexer + "/internal/affected_manifest", read, s.postAffectedManifests},
		{http.MethodPost, indexer + "/internal/affected_manifest/", read, s.postAffectedManifests},

		{http.MethodGet, matcher + "/vulnerability_report/*", read, s.getVulnerabilityReport},
		{http.MethodGet, matcher + "/internal/update_operation", read, s.getUpdateOperations},
		{http.MethodDelete, matcher + "/internal/update_operation/*", admin, s.deleteUpdateOperation},
		{http.MethodGet, matcher + "/internal/update_diff", read, s.getUpdateDiff},

		{http.MethodGet, matcher + "/feeds", read, s.getFeeds},
		{http.MethodPost, matcher + "/feeds/run", admin, s.postFeedsRun},
		{http.MethodGet, matcher + "/bundle", read, s.getBundle},
		{http.MethodPost, matcher + "/bundle", admin, s.postBundle},

		{http.MethodGet, matcher + "/changes", read, s.getChanges},

		{http.MethodGet, notifier + "/notification", read, s.getNotifications},
		{http.MethodGet, notifier + "/notification/*", read, s.getNotification},
		{http.MethodDelete, notifier + "/notification/*", admin, s.deleteNotification},
		{http.MethodPost, notifier + "/notification/:id/redeliver", admin, s.postRedeliver},

		{http.MethodGet, operating + "/status", read, s.getStatus},
		{http.MethodPost, operating + "/vacuum", admin, s.postVacuum},

		{http.MethodGet, "/", scan, s.getRoot},
		{http.MethodGet, openapiPath, read, s.getOpenAPI},
		{http.MethodGet, "/openapi", read, s.getOpenAPIPage},
		{http.MethodGet, "/metrics", metrics, s.getMetrics()},
		{http.MethodGet, "/healthz", open, s.healthz},
		{http.MethodGet, "/readyz", open, s.readyz},
		{http.MethodGet, "/robots.txt", open, robots},
	}...) {
		e.Add(r.method, r.path, r.handle)
		s.wanted[r.method+" "+r.path] = r.role
		if r.role == open {
			s.openPaths[r.path] = true
		}
	}
}

// getRoot is the status page for browsers, and for scanners the original
// protocol, which goes by the query alone.
func (s *Server) getRoot(c echo.Context) error {
	if s.Patches == nil || asksForPage(c.Request()) {
		return s.getPage(c)
	}
	return s.originalPatches(c)
}

func asksForPage(r *http.Request) bool {
	return r.URL.RawQuery == "" && strings.Contains(r.Header.Get("Accept"), "text/html")
}

// healthz says that the process answers.
func (s *Server) healthz(c echo.Context) error {
	return c.String(http.StatusOK, "ok")
}

func robots(c echo.Context) error {
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.String(http.StatusOK, "User-agent: *\nDisallow: /\n")
}
