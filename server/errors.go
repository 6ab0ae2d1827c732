package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/labstack/echo/v4"

	"oriel/clair"
	"oriel/internal/api"
)

// errBusy is returned if a heavy request waited too long for others.
var errBusy = fmt.Errorf("%w: too many reports are being made; try again later", clair.ErrUnavailable)

// codes are Clair's codes by status.
var codes = map[int]api.Code{
	http.StatusBadRequest:            api.BadRequest,
	http.StatusForbidden:             api.Forbidden,
	http.StatusNotFound:              api.NotFound,
	http.StatusMethodNotAllowed:      api.MethodNotAllowed,
	http.StatusConflict:              api.Conflict,
	http.StatusRequestEntityTooLarge: api.RequestTooLarge,
	http.StatusTooManyRequests:       api.TooManyRequests,
	http.StatusServiceUnavailable:    api.Unavailable,
}

// statusError is an error with its own status.
type statusError struct {
	status  int
	message string
	// code, if not "", replaces the code of the status. retry, if not 0, is the
	// Retry-After.
	code  api.Code
	retry time.Duration
	// place is a platform that is not covered, if that is the error.
	place clair.Place
}

func (e *statusError) Error() string { return e.message }

// classify returns the status of an error and the message for the client.
func classify(err error) (status int, message string) {
	if e, ok := errors.AsType[*statusError](err); ok {
		return e.status, e.message
	}
	if e, ok := errors.AsType[*echo.HTTPError](err); ok {
		return e.Code, http.StatusText(e.Code)
	}
	if e, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is over %d bytes", e.Limit)
	}
	switch {
	case errors.Is(err, clair.ErrInvalid):
		status = http.StatusBadRequest
	case errors.Is(err, clair.ErrNotFound):
		status = http.StatusNotFound
	case errors.Is(err, clair.ErrConflict):
		status = http.StatusConflict
	case errors.Is(err, clair.ErrTooLarge):
		status = http.StatusRequestEntityTooLarge
	case errors.Is(err, clair.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		status = http.StatusServiceUnavailable
	default:
		return http.StatusInternalServerError, "internal error; see the server log"
	}
	return status, err.Error()
}

// answerError writes an error as JSON, or in a trailer if the body has begun.
func (s *Server) answerError(err error, c echo.Context) {
	status, message := classify(err)
	res, ctx := c.Response(), c.Request().Context()
	level := slog.LevelDebug
	if status >= http.StatusInternalServerError && ctx.Err() == nil {
		level = slog.LevelError
	}
	s.Log.Log(ctx, level, "request failed", "method", c.Request().Method, "path", c.Request().URL.Path,
		"status", status, "err", err)
	if res.Committed {
		res.Header().Set(api.ErrorTrailer, message)
		return
	}
	h := res.Header()
	for _, k := range []string{"Link", "Location", "Etag", "Cache-Control"} {
		h.Del(k)
	}
	if (status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable) && h.Get("Retry-After") == "" {
		h.Set("Retry-After", "5")
	}
	code, ok := codes[status]
	if !ok {
		code = api.InternalError
	}
	answer := api.Error{Code: code, Message: message}
	if e, ok := errors.AsType[*statusError](err); ok {
		answer.Code, answer.Reason, answer.Hint = cmp.Or(e.code, code), e.place.Reason, e.place.Hint
		if e.retry > 0 {
			h.Set("Retry-After", seconds(e.retry))
		}
	}
	if err := c.JSON(status, answer); err != nil {
		s.Log.DebugContext(ctx, "answer not delivered", "err", err)
	}
}

// recover converts a panic in a handler to an error.
func (s *Server) recover(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			r := recover()
			if r == nil {
				return
			}
			if err, ok := r.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(r) // net/http uses it to abort a response
			}
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}()
		return next(c)
	}
}

// logRequests logs each request.
func (s *Server) logRequests(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		start := time.Now()
		err := next(c)
		if err != nil {
			c.Error(err) // writes the response, so that its status is set below
		}
		res := c.Response()
		s.Log.DebugContext(c.Request().Context(), "request answered", "method", c.Request().Method, "path", c.Request().URL.Path,
			"status", res.Status, "bytes", res.Size, "took", time.Since(start), "client", c.RealIP())
		return nil
	}
}
