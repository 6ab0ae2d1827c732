package api

// The paths of Oriel's own requests. Clair's are in the table of routes of
// package server.
const (
	// PathFeeds lists the feeds; PathRunFeeds starts runs of them.
	PathFeeds    = "/matcher/api/v1/feeds"
	PathRunFeeds = "/matcher/api/v1/feeds/run"
	// PathBundle exports all feeds, or imports an export.
	PathBundle = "/matcher/api/v1/bundle"
	// PathVacuum collects garbage and returns free space to the disk.
	PathVacuum = "/admin/v1/vacuum"
	// PathStatus reports how the server and its parts are doing.
	PathStatus = "/admin/v1/status"
	// PathNotification is where receivers read notifications; an id follows.
	PathNotification = "/notifier/api/v1/notification"
)
