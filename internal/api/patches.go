package api

import (
	"time"

	"oriel/clair"
)

// PlatformList is the response to GET PathPlatforms.
type PlatformList struct {
	Platforms []Platform `json:"platforms"`
}

// Platform is a platform with the number of rows in its list.
type Platform struct {
	Name            string `json:"name"`
	Vulnerabilities int    `json:"vulnerabilities"`
}

// SessionRequest is the body of POST PathSessions.
type SessionRequest struct {
	Platform *string `json:"platform"`
}

// SessionState is the state of a session.
type SessionState string

// The states of a session.
const (
	SessionQueued  SessionState = "queued"
	SessionWaiting SessionState = "waiting"
	SessionActive  SessionState = "active"
	SessionDone    SessionState = "done"
)

// Session is a session as clients see it. Position is 0 unless it is queued.
type Session struct {
	ID          string       `json:"id"`
	Platform    string       `json:"platform"`
	State       SessionState `json:"state"`
	Position    int          `json:"position"`
	PollAfterMS int64        `json:"poll_after_ms"`
	ExpiresAt   time.Time    `json:"expires_at"`
}

// Row is one vulnerability of a page.
type Row struct {
	clair.Vulnerability
	Aliases []string `json:"aliases"`
}
