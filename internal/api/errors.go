package api

import "oriel/clair"

// Error is the body of every error.
type Error struct {
	Code    Code   `json:"code"`
	Message string `json:"message,omitempty"`
	// Reason and Hint are set if the code is UnknownPlatform: why no feed covers
	// the platform, and what would.
	Reason clair.NotCovered `json:"reason,omitempty"`
	Hint   string           `json:"hint,omitempty"`
}

// Code tells the kinds of errors apart that share a status.
type Code string

// The codes, of which those that follow from the status alone are Clair's.
const (
	BadRequest       Code = "bad-request"
	Forbidden        Code = "forbidden"
	NotFound         Code = "not-found"
	MethodNotAllowed Code = "method-not-allowed"
	Conflict         Code = "conflict"
	RequestTooLarge  Code = "request-too-large"
	TooManyRequests  Code = "too-many-requests"
	Unavailable      Code = "unavailable"
	InternalError    Code = "internal-error"

	UnknownPlatform Code = "unknown-platform"
	UnknownSession  Code = "unknown-session"
	BadCursor       Code = "bad-cursor"
	QueueFull       Code = "queue-full"
	TooManySessions Code = "too-many-sessions"
	SessionExpired  Code = "session-expired"
	SessionTooSlow  Code = "session-too-slow"
	SessionFinished Code = "session-finished"
)
