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

// route is a route and the role that it requires.
type route struct {
	method, path string
	role         role
	handle       echo.HandlerFunc
}

// routes returns all routes. Tokens of Clair's clients have the role "admin".
func (s *Server) routes() []route {
	metrics := roleRead
	if s.OpenMetrics {
		metrics = roleOpen
	}
	return []route{
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

		{http.MethodGet, windows + "/platforms", roleRead, s.getPlatforms},
		{http.MethodGet, windows + "/status", roleRead, s.getPatchesStatus},
		{http.MethodPost, windows + "/sessions", roleScan, s.postSession},
		{http.MethodGet, windows + "/sessions/:id", roleScan, s.getSession},
		{http.MethodDelete, windows + "/sessions/:id", roleScan, s.deleteSession},
		{http.MethodGet, windows + "/sessions/:id/vulnerabilities", roleScan, s.getSessionVulnerabilities},
		{http.MethodGet, "/patches", roleScan, s.originalPatches},
		{http.MethodGet, "/patches/", roleScan, s.originalPatches},
		{http.MethodPost, "/patches", roleScan, s.originalPatches},
		{http.MethodPost, "/patches/", roleScan, s.originalPatches},
		{http.MethodPost, "/", roleScan, s.originalPatches},

		{http.MethodGet, operating + "/status", roleRead, s.getStatus},
		{http.MethodPost, operating + "/vacuum", roleAdmin, s.postVacuum},

		{http.MethodGet, "/", roleScan, s.getRoot},
		{http.MethodGet, openapiPath, roleRead, s.getOpenAPI},
		{http.MethodGet, "/openapi", roleRead, s.getOpenAPIPage},
		{http.MethodGet, "/metrics", metrics, s.getMetrics()},
		{http.MethodGet, "/healthz", roleOpen, s.healthz},
		{http.MethodGet, "/readyz", roleOpen, s.readyz},
		{http.MethodGet, "/robots.txt", roleOpen, robots},
	}
}

// addRoutes adds the routes to the router. Those of sessions are left out if
// there is no window.
func (s *Server) addRoutes() {
	for _, r := range s.routes() {
		isPatches := strings.HasPrefix(r.path, "/patches") || r.path == "/" && r.method == http.MethodPost
		if isPatches && s.Patches == nil {
			continue
		}
		s.echo.Add(r.method, r.path, r.handle)
		s.roles[r.method+" "+r.path] = r.role
		if r.role == roleOpen {
			s.openPaths[r.path] = true
		}
	}
}

// getRoot answers browsers with the status page, and scanners in the original
// protocol, which depends on the query only.
func (s *Server) getRoot(c echo.Context) error {
	if s.Patches == nil || asksForPage(c.Request()) {
		return s.getPage(c)
	}
	return s.originalPatches(c)
}

// asksForPage reports whether a request for / is one of a browser.
func asksForPage(r *http.Request) bool {
	return r.URL.RawQuery == "" && strings.Contains(r.Header.Get("Accept"), "text/html")
}

// healthz answers 200 as long as the process handles requests.
func (s *Server) healthz(c echo.Context) error {
	return c.String(http.StatusOK, "ok")
}

func robots(c echo.Context) error {
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.String(http.StatusOK, "User-agent: *\nDisallow: /\n")
}
