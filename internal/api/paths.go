package api

// Prefixes of the API's parts. The first three are Clair's.
const (
	Indexer  = "/indexer/api/v1"
	Matcher  = "/matcher/api/v1"
	Notifier = "/notifier/api/v1"
	Patches  = "/patches/v1"
	Admin    = "/admin/v1"
)

// Paths below the prefixes. A path with a parameter is followed by a slash and
// the escaped parameter, such as PathIndexReport + "/" + digest.
const (
	PathIndexReport       = Indexer + "/index_report"
	PathIndexState        = Indexer + "/index_state"
	PathAffectedManifests = Indexer + "/internal/affected_manifest"

	PathVulnerabilityReport = Matcher + "/vulnerability_report"
	PathCoverage            = Matcher + "/coverage"
	PathUpdateOperation     = Matcher + "/internal/update_operation"
	PathUpdateDiff          = Matcher + "/internal/update_diff"
	PathFeeds               = Matcher + "/feeds"
	PathRunFeeds            = Matcher + "/feeds/run"
	PathBundle              = Matcher + "/bundle"
	PathChanges             = Matcher + "/changes"

	PathNotification = Notifier + "/notification"

	PathPlatforms     = Patches + "/platforms"
	PathSessions      = Patches + "/sessions"
	PathPatchesStatus = Patches + "/status"

	PathStatus = Admin + "/status"
	PathVacuum = Admin + "/vacuum"

	PathOpenAPI     = "/openapi/v1"
	PathOpenAPIPage = "/openapi"
	PathMetrics     = "/metrics"
	PathHealth      = "/healthz"
	PathReady       = "/readyz"
	PathRobots      = "/robots.txt"
)
