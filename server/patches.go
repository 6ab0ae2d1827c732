package server

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"oriel/clair"
	"oriel/internal/api"
	"oriel/server/patches"
	"oriel/window"
)

// queueRetry is the Retry-After of a full queue. A pass takes seconds if all
// sessions read without pauses.
const queueRetry = 10 * time.Second

func sessionOf(v window.Session) api.Session {
	return api.Session{
		ID:          string(v.ID),
		Platform:    v.Platform,
		State:       api.SessionState(v.State),
		Position:    v.Position,
		PollAfterMS: v.PollAfter.Milliseconds(),
		ExpiresAt:   v.Expires.UTC(),
	}
}

// seconds returns a duration in the form of Retry-After: whole seconds, at least
// one.
func seconds(d time.Duration) string {
	return strconv.Itoa(int(max(1, math.Ceil(d.Seconds()))))
}

// patchesError adds the status and code to an error of package patches, and why a
// platform is not covered.
func (s *Server) patchesError(ctx context.Context, err error) error {
	platform := ""
	if e, ok := errors.AsType[*patches.UnknownPlatformError](err); ok {
		platform = e.Name
	}
	if e, ok := errors.AsType[*window.EndedError](err); ok && e.Reason == window.Unavailable {
		platform = e.Platform
	}
	err = withStatus(err)
	if platform == "" || s.Coverer == nil {
		return err
	}
	place, failure := s.Coverer.Place(ctx, platform)
	if failure != nil {
		return failure
	}
	if e, ok := errors.AsType[*statusError](err); ok && !place.Covered {
		e.place = place
	}
	return err
}

// withStatus adds the status and code to an error of package patches.
func withStatus(err error) error {
	ended, isEnded := errors.AsType[*window.EndedError](err)
	unknown, isUnknown := errors.AsType[*patches.UnknownPlatformError](err)
	switch {
	case isEnded && ended.Reason == window.Unavailable:
		return &statusError{status: http.StatusNotFound, code: api.UnknownPlatform, message: ended.Error()}
	case isEnded:
		return &statusError{status: http.StatusGone, code: api.Code(ended.Reason), message: ended.Error()}
	case isUnknown:
		return &statusError{status: http.StatusNotFound, code: api.UnknownPlatform, message: unknown.Error()}
	case errors.Is(err, window.ErrUnknown):
		return &statusError{status: http.StatusNotFound, code: api.UnknownSession, message: err.Error()}
	case errors.Is(err, window.ErrCursor):
		return &statusError{status: http.StatusBadRequest, code: api.BadCursor, message: "after: " + err.Error()}
	case errors.Is(err, window.ErrQueueFull):
		return &statusError{status: http.StatusTooManyRequests, code: api.QueueFull, message: err.Error(), retry: queueRetry}
	case errors.Is(err, window.ErrClientFull):
		return &statusError{status: http.StatusTooManyRequests, code: api.TooManySessions, message: err.Error(), retry: queueRetry}
	case errors.Is(err, window.ErrBusy):
		return &statusError{status: http.StatusTooManyRequests, code: api.TooManyRequests, message: err.Error(), retry: time.Second}
	}
	return err
}

func (s *Server) getPlatforms(c echo.Context) error {
	list, err := s.Patches.Platforms(c.Request().Context())
	if err != nil {
		return err
	}
	out := api.PlatformList{Platforms: []api.Platform{}}
	for _, p := range list {
		out.Platforms = append(out.Platforms, api.Platform{Name: p.Name, Vulnerabilities: p.Rows})
	}
	return answerJSON(c, http.StatusOK, typeJSON, out)
}

func (s *Server) getPatchesStatus(c echo.Context) error {
	return answerJSON(c, http.StatusOK, typeJSON, s.Patches.Status())
}

func (s *Server) postSession(c echo.Context) error {
	want, err := decodeJSON[api.SessionRequest](c, maxSmall)
	if err != nil {
		return err
	}
	if want.Platform == nil || *want.Platform == "" {
		return clair.Invalid("platform", "must be a release of a distribution, such as \"debian:12\", or an ecosystem, such as \"pypi\"")
	}
	session, err := s.Patches.Open(c.Request().Context(), *want.Platform, c.RealIP())
	if err != nil {
		return s.patchesError(c.Request().Context(), err)
	}
	c.Response().Header().Set("Location", api.PathSessions+"/"+string(session.ID))
	return answerJSON(c, http.StatusCreated, typeJSON, sessionOf(session))
}

func (s *Server) getSession(c echo.Context) error {
	session, err := s.Patches.Session(window.SessionID(c.Param("id")))
	if err != nil {
		return s.patchesError(c.Request().Context(), err)
	}
	return answerJSON(c, http.StatusOK, typeJSON, sessionOf(session))
}

func (s *Server) deleteSession(c echo.Context) error {
	if err := s.Patches.Leave(window.SessionID(c.Param("id"))); err != nil {
		return s.patchesError(c.Request().Context(), err)
	}
	return c.NoContent(http.StatusNoContent)
}

// getSessionVulnerabilities answers with a session's next page, when there is
// one or the time to wait has passed.
func (s *Server) getSessionVulnerabilities(c echo.Context) error {
	limit, wait, media, err := rowsParams(c)
	if err != nil {
		return err
	}
	r, err := s.Patches.Read(c.Request().Context(), window.SessionID(c.Param("id")), c.QueryParam("after"), limit, wait)
	if err != nil {
		return s.patchesError(c.Request().Context(), err)
	}
	defer func() { r.Close(time.Now()) }()
	h := c.Response().Header()
	h.Set("Cache-Control", "no-store")
	switch {
	case r.Page != nil:
		form := patches.JSON
		if media == api.TypeNDJSON {
			form = patches.NDJSON
			h.Set(api.StateHeader, string(window.Active))
			h.Set(api.NextHeader, r.Next)
		}
		return s.sendPage(c, r, form, media)
	case r.Session.State != window.Done:
		h.Set("Retry-After", seconds(r.Session.PollAfter))
		return answerJSON(c, http.StatusAccepted, typeJSON, sessionOf(r.Session))
	case media == api.TypeNDJSON:
		h.Set(api.StateHeader, string(window.Done))
		h.Set(api.NextHeader, r.Next)
		h.Set(echo.HeaderContentType, api.TypeNDJSON)
		c.Response().WriteHeader(http.StatusOK)
		return nil
	}
	return answerJSON(c, http.StatusOK, typeJSON, struct {
		State           window.State `json:"state"`
		Vulnerabilities []struct{}   `json:"vulnerabilities"`
		Next            string       `json:"next"`
	}{window.Done, []struct{}{}, r.Next})
}

// rowsParams parses the parameters of a request for rows.
func rowsParams(c echo.Context) (limit int, wait time.Duration, media string, err error) {
	if text := c.QueryParam("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 {
			return 0, 0, "", clair.Invalid("limit", "%.20q: must be a number from 1", text)
		}
	}
	if text := c.QueryParam("wait"); text != "" {
		if wait, err = time.ParseDuration(text); err != nil || wait < 0 {
			return 0, 0, "", clair.Invalid("wait", "%.20q: must be a duration such as \"30s\"", text)
		}
	}
	media, err = negotiate(c.Request(), typeJSON, api.TypeNDJSON)
	return limit, wait, media, err
}

// sendPage sends rows with the coding that the client prefers. The write
// deadline is the time when the session ends as too slow.
func (s *Server) sendPage(c echo.Context, r *window.Reading, form patches.Form, media string) error {
	coding, _ := pickCoding(c.Request().Header.Values("Accept-Encoding"))
	body, err := s.Patches.Body(c.Request().Context(), r, form, coding)
	if err != nil {
		return err
	}
	err = http.NewResponseController(c.Response()).SetWriteDeadline(r.Deadline)
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("set the deadline of the response: %w", err)
	}
	h := c.Response().Header()
	h.Set(echo.HeaderContentType, media)
	if body.Coding != "" {
		h.Set(echo.HeaderContentEncoding, body.Coding)
	}
	if body.Length >= 0 {
		h.Set(echo.HeaderContentLength, strconv.FormatInt(body.Length, 10))
	}
	c.Response().WriteHeader(http.StatusOK)
	return body.Write(c.Response())
}
