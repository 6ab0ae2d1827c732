package server

import (
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"
)

const (
	indexer  = "/indexer/api/v1"
	matcher  = "/matcher/api/v1"
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
	metrics := roleRead
	if s.OpenMetrics {
		metrics = roleOpen
	}
	for _, r := range append(s.patchesRoutes(), []route{
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

		{http.MethodGet, matcher + "/feeds", roleRead, s.getFeeds},
		{http.MethodPost, matcher + "/feeds/run", roleAdmin, s.postFeedsRun},
		{http.MethodGet, matcher + "/bundle", roleRead, s.getBundle},
		{http.MethodPost, matcher + "/bundle", roleAdmin, s.postBundle},

		{http.MethodGet, matcher + "/changes", roleRead, s.getChanges},

		{http.MethodGet, notifier + "/notification", roleRead, s.getNotifications},
		{http.MethodGet, notifier + "/notification/*", roleRead, s.getNotification},
		{http.MethodDelete, notifier + "/notification/*", roleAdmin, s.deleteNotification},
		{http.MethodPost, notifier + "/notification/:id/redeliver", roleAdmin, s.postRedeliver},

		{http.MethodGet, operating + "/status", roleRead, s.getStatus},
		{http.MethodPost, operating + "/vacuum", roleAdmin, s.postVacuum},

		{http.MethodGet, "/", roleScan, s.getRoot},
		{http.MethodGet, openapiPath, roleRead, s.getOpenAPI},
		{http.MethodGet, "/openapi", roleRead, s.getOpenAPIPage},
		{http.MethodGet, "/metrics", metrics, s.getMetrics()},
		{http.MethodGet, "/healthz", roleOpen, s.healthz},
		{http.MethodGet, "/readyz", roleOpen, s.readyz},
		{http.MethodGet, "/robots.txt", roleOpen, robots},
	}...) {
		e.Add(r.method, r.path, r.handle)
		s.roles[r.method+" "+r.path] = r.role
		if r.role == roleOpen {
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
