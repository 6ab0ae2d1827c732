package server

import (
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"oriel/internal/api"
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
		{http.MethodPost, api.PathIndexReport, roleScan, s.postIndexReport},
		{http.MethodPut, api.PathIndexReport + "/*", roleScan, s.putIndexReport},
		{http.MethodGet, api.PathIndexReport + "/*", roleRead, s.getIndexReport},
		{http.MethodDelete, api.PathIndexReport + "/*", roleAdmin, s.deleteIndexReport},
		{http.MethodDelete, api.PathIndexReport, roleAdmin, s.deleteIndexReports},
		{http.MethodGet, api.PathIndexState, roleRead, s.getIndexState},
		{http.MethodPost, api.PathAffectedManifests, roleRead, s.postAffectedManifests},
		{http.MethodPost, api.PathAffectedManifests + "/", roleRead, s.postAffectedManifests},

		{http.MethodGet, api.PathVulnerabilityReport + "/*", roleRead, s.getVulnerabilityReport},
		{http.MethodGet, api.PathCoverage + "/*", roleRead, s.getCoverage},
		{http.MethodGet, api.PathUpdateOperation, roleRead, s.getUpdateOperations},
		{http.MethodDelete, api.PathUpdateOperation + "/*", roleAdmin, s.deleteUpdateOperation},
		{http.MethodGet, api.PathUpdateDiff, roleRead, s.getUpdateDiff},

		{http.MethodGet, api.PathFeeds, roleRead, s.getFeeds},
		{http.MethodPost, api.PathRunFeeds, roleAdmin, s.postFeedsRun},
		{http.MethodGet, api.PathBundle, roleRead, s.getBundle},
		{http.MethodPost, api.PathBundle, roleAdmin, s.postBundle},

		{http.MethodGet, api.PathChanges, roleRead, s.getChanges},

		{http.MethodGet, api.PathNotification, roleRead, s.getNotifications},
		{http.MethodGet, api.PathNotification + "/*", roleRead, s.getNotification},
		{http.MethodDelete, api.PathNotification + "/*", roleAdmin, s.deleteNotification},
		{http.MethodPost, api.PathNotification + "/:id/redeliver", roleAdmin, s.postRedeliver},

		{http.MethodGet, api.PathPlatforms, roleRead, s.getPlatforms},
		{http.MethodGet, api.PathPatchesStatus, roleRead, s.getPatchesStatus},
		{http.MethodPost, api.PathSessions, roleScan, s.postSession},
		{http.MethodGet, api.PathSessions + "/:id", roleScan, s.getSession},
		{http.MethodDelete, api.PathSessions + "/:id", roleScan, s.deleteSession},
		{http.MethodGet, api.PathSessions + "/:id/vulnerabilities", roleScan, s.getSessionVulnerabilities},
		{http.MethodGet, "/patches", roleScan, s.originalPatches},
		{http.MethodGet, "/patches/", roleScan, s.originalPatches},
		{http.MethodPost, "/patches", roleScan, s.originalPatches},
		{http.MethodPost, "/patches/", roleScan, s.originalPatches},
		{http.MethodPost, "/", roleScan, s.originalPatches},

		{http.MethodGet, api.PathStatus, roleRead, s.getStatus},
		{http.MethodPost, api.PathVacuum, roleAdmin, s.postVacuum},

		{http.MethodGet, "/", roleScan, s.getRoot},
		{http.MethodGet, api.PathOpenAPI, roleRead, s.getOpenAPI},
		{http.MethodGet, api.PathOpenAPIPage, roleRead, s.getOpenAPIPage},
		{http.MethodGet, api.PathMetrics, metrics, s.getMetrics()},
		{http.MethodGet, api.PathHealth, roleOpen, s.healthz},
		{http.MethodGet, api.PathReady, roleOpen, s.readyz},
		{http.MethodGet, api.PathRobots, roleOpen, robots},
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
