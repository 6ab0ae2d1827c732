package server

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"oriel/clair"
	"oriel/server/patches"
	"oriel/window"
)

// queueRetry is the Retry-After of a full queue. A pass takes seconds if all
// sessions read without pauses.
const queueRetry = 10 * time.Second

// sessionJSON is a session in responses.
type sessionJSON struct {
	ID          window.SessionID `json:"id"`
	Platform    string           `json:"platform"`
	State       window.State     `json:"state"`
	Position    int              `json:"position"`
	PollAfterMS int64            `json:"poll_after_ms"`
	ExpiresAt   time.Time        `json:"expires_at"`
}

func sessionOf(v window.Session) sessionJSON {
	return sessionJSON{v.ID, v.Platform, v.State, v.Position, v.PollAfter.Milliseconds(), v.Expires.UTC()}
}

// seconds returns a duration in the form of Retry-After: whole seconds, at least
// one.
func seconds(d time.Duration) string {
	return strconv.Itoa(int(max(1, math.Ceil(d.Seconds()))))
}

// patchesError adds the status and code to an error of package patches.
func patchesError(err error) error {
	ended, isEnded := errors.AsType[*window.EndedError](err)
	unknown, isUnknown := errors.AsType[*patches.UnknownPlatformError](err)
	switch {
	case isEnded:
		return &statusError{status: http.StatusGone, code: string(ended.Reason), message: ended.Error()}
	case isUnknown:
		return &statusError{status: http.StatusNotFound, code: "unknown-platform", message: unknown.Error()}
	case errors.Is(err, window.ErrUnknown):
		return &statusError{status: http.StatusNotFound, code: "unknown-session", message: err.Error()}
	case errors.Is(err, window.ErrCursor):
		return &statusError{status: http.StatusBadRequest, code: "bad-cursor", message: "after: " + err.Error()}
	case errors.Is(err, window.ErrQueueFull):
		return &statusError{status: http.StatusTooManyRequests, code: "queue-full", message: err.Error(), retry: queueRetry}
	case errors.Is(err, window.ErrClientFull):
		return &statusError{status: http.StatusTooManyRequests, code: "too-many-sessions", message: err.Error(), retry: queueRetry}
	case errors.Is(err, window.ErrBusy):
		return &statusError{status: http.StatusTooManyRequests, code: "too-many-requests", message: err.Error(), retry: time.Second}
	}
	return err
}

func (s *Server) getPlatforms(c echo.Context) error {
	list, err := s.Patches.Platforms(c.Request().Context())
	if err != nil {
		return err
	}
	type platform struct {
		Name            string `json:"name"`
		Vulnerabilities int    `json:"vulnerabilities"`
	}
	out := struct {
		Platforms []platform `json:"platforms"`
	}{[]platform{}}
	for _, p := range list {
		out.Platforms = append(out.Platforms, platform{p.Name, p.Rows})
	}
	return answerJSON(c, http.StatusOK, typeJSON, out)
}

func (s *Server) getPatchesStatus(c echo.Context) error {
	type windowJSON struct {
		Platform string `json:"platform"`
		Rows     int    `json:"rows"`
		First    int    `json:"first"`
		Last     int    `json:"last"`
		Bytes    int64  `json:"bytes"`
		Active   int    `json:"active"`
		Queued   int    `json:"queued"`
	}
	type memory struct {
		Used  int64 `json:"used"`
		Limit int64 `json:"limit"`
	}
	st := s.Patches.Status()
	list := []windowJSON{}
	for _, w := range st.Windows {
		list = append(list, windowJSON(w))
	}
	return answerJSON(c, http.StatusOK, typeJSON, struct {
		Active   int          `json:"active"`
		Queued   int          `json:"queued"`
		RowsRead int64        `json:"rows_read"`
		Memory   memory       `json:"memory"`
		Windows  []windowJSON `json:"windows"`
	}{st.Active, st.Queued, st.RowsRead, memory{st.MemoryUsed, st.Memory}, list})
}

func (s *Server) postSession(c echo.Context) error {
	want, err := decodeJSON[struct {
		Platform *string `json:"platform"`
	}](c, maxSmall)
	if err != nil {
		return err
	}
	if want.Platform == nil || *want.Platform == "" {
		return clair.Invalid("platform", "must be a release of a distribution, such as \"debian:12\", or an ecosystem, such as \"pypi\"")
	}
	session, err := s.Patches.Open(c.Request().Context(), *want.Platform, c.RealIP())
	if err != nil {
		return patchesError(err)
	}
	c.Response().Header().Set("Location", windows+"/sessions/"+string(session.ID))
	return answerJSON(c, http.StatusCreated, typeJSON, sessionOf(session))
}

func (s *Server) getSession(c echo.Context) error {
	session, err := s.Patches.Session(window.SessionID(c.Param("id")))
	if err != nil {
		return patchesError(err)
	}
	return answerJSON(c, http.StatusOK, typeJSON, sessionOf(session))
}

func (s *Server) deleteSession(c echo.Context) error {
	if err := s.Patches.Leave(window.SessionID(c.Param("id"))); err != nil {
		return patchesError(err)
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
		return patchesError(err)
	}
	defer func() { r.Close(time.Now()) }()
	h := c.Response().Header()
	h.Set("Cache-Control", "no-store")
	switch {
	case r.Page != nil:
		form := patches.JSON
		if media == typeNDJSON {
			form = patches.NDJSON
			h.Set("Oriel-State", string(window.Active))
			h.Set("Oriel-Next", r.Next)
		}
		return s.sendPage(c, r, form, media)
	case r.Session.State != window.Done:
		h.Set("Retry-After", seconds(r.Session.PollAfter))
		return answerJSON(c, http.StatusAccepted, typeJSON, sessionOf(r.Session))
	case media == typeNDJSON:
		h.Set("Oriel-State", string(window.Done))
		h.Set("Oriel-Next", r.Next)
		h.Set(echo.HeaderContentType, typeNDJSON)
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
	media, err = negotiate(c.Request(), typeJSON, typeNDJSON)
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
