package client

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"oriel/clair"
	"oriel/internal/api"
	"oriel/internal/sanitize"
)

// Error is a response with an error status. It wraps ErrInvalid, ErrNotFound,
// ErrConflict or ErrUnavailable if that is what the status means.
type Error struct {
	Status int
	// Code is "" if the response was not one of Oriel's.
	Code    api.Code
	Message string
	// RetryAfter is the time after which the server wants to be asked again, 0
	// if it names none.
	RetryAfter time.Duration
	// Reason and Hint are those of api.Error.
	Reason clair.NotCovered
	Hint   string
}

// maxRetryAfter bounds the time that a server can make a client wait.
const maxRetryAfter = time.Minute

func newError(res *http.Response, body io.Reader) *Error {
	e := &Error{Status: res.StatusCode, Message: http.StatusText(res.StatusCode)}
	var answer api.Error
	// A proxy may have answered in its own words.
	if b, err := io.ReadAll(io.LimitReader(body, maxError)); err == nil && json.Unmarshal(b, &answer) == nil {
		e.Code, e.Message = answer.Code, cmp.Or(sanitize.Text(answer.Message), e.Message)
		e.Reason, e.Hint = clair.NotCovered(sanitize.Line(string(answer.Reason))), sanitize.Line(answer.Hint)
	}
	if n, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && n > 0 {
		e.RetryAfter = min(time.Duration(n)*time.Second, maxRetryAfter)
	}
	return e
}

// Error returns the message, with the status if the response was not one of
// Oriel's.
func (e *Error) Error() string {
	s := e.Message
	if e.Code == "" {
		s += fmt.Sprintf(" (%d)", e.Status)
	}
	switch e.Status {
	case http.StatusUnauthorized, http.StatusForbidden:
		s += ": name a token of a sufficient role with --token-file"
	case http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		s += ": redirects are not followed"
	}
	return s
}

// Unwrap returns the sentinel of the status, nil if there is none.
func (e *Error) Unwrap() error {
	switch e.Status {
	case http.StatusBadRequest:
		return clair.ErrInvalid
	case http.StatusNotFound:
		return clair.ErrNotFound
	case http.StatusConflict:
		return clair.ErrConflict
	case http.StatusServiceUnavailable:
		return clair.ErrUnavailable
	}
	return nil
}

// Temporary reports whether the same request may succeed later.
func (e *Error) Temporary() bool {
	return e.Status == http.StatusTooManyRequests || e.Status == http.StatusRequestTimeout || e.Status >= http.StatusInternalServerError
}
