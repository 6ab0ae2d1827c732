package server

import (
	"errors"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"oriel/server/patches"
	"oriel/window"
)

// The original protocol of Patches. Only the query matters, and a read counts as
// acknowledged, so the rows of a lost response are lost. It has two dialects: in
// that of requestID, a session that has nothing to read gets 202; in the older
// one of session, it gets 200 and an empty list, and a denial is 400. The field
// state tells the cases apart.

// originalAnswer is a response without rows in both dialects.
type originalAnswer struct {
	Error     *string          `json:"error"`
	RequestID window.SessionID `json:"requestID,omitempty"`
	Session   window.SessionID `json:"session,omitempty"`
	State     window.State     `json:"state,omitempty"`
	// Vulnerabilities is the empty list of the older dialect.
	Vulnerabilities *[]struct{} `json:"vulnerabilities,omitempty"`
}

const (
	originalNothing = "There are no vulnerabilities prepared for your session."
	originalBusy    = "The server is too busy right now. Try again later."
	// denied is the state of a session that was not opened.
	denied window.State = "denied"
)

func refusal(text string, state window.State) originalAnswer {
	return originalAnswer{Error: &text, State: state}
}

// originalPatches answers requests of the original protocol.
func (s *Server) originalPatches(c echo.Context) error {
	c.Response().Header().Set("Cache-Control", "no-store")
	q := c.QueryParams()
	switch {
	case q.Has("requestID"):
		return s.originalRead(c, window.SessionID(q.Get("requestID")), patches.RequestID)
	case q.Has("session"):
		return s.originalRead(c, window.SessionID(q.Get("session")), patches.SessionKey)
	case q.Has("platform"):
		return s.originalOpen(c, q.Get("platform"))
	}
	return answerJSON(c, http.StatusBadRequest, typeJSON, refusal("The request has none of the parameters platform, requestID and session.", ""))
}

// originalOpen opens a session. The dialect of its client is not known yet, so
// the response has the id under both names.
func (s *Server) originalOpen(c echo.Context, platform string) error {
	session, err := s.Patches.Open(c.Request().Context(), platform, c.RealIP())
	_, unknown := errors.AsType[*patches.UnknownPlatformError](err)
	switch {
	case unknown:
		return answerJSON(c, http.StatusBadRequest, typeJSON, refusal(err.Error(), denied))
	case errors.Is(err, window.ErrQueueFull), errors.Is(err, window.ErrClientFull):
		c.Response().Header().Set("Retry-After", seconds(queueRetry))
		return answerJSON(c, http.StatusAccepted, typeJSON, refusal(originalBusy, denied))
	case err != nil:
		return err
	}
	return answerJSON(c, http.StatusOK, typeJSON, originalAnswer{RequestID: session.ID, Session: session.ID, State: session.State})
}

func (s *Server) originalRead(c echo.Context, id window.SessionID, form patches.Form) error {
	r, err := s.Patches.Take(id)
	if ended, ok := errors.AsType[*window.EndedError](err); ok {
		return answerJSON(c, http.StatusGone, typeJSON, refusal(ended.Error(), window.State(ended.Reason)))
	}
	switch {
	case errors.Is(err, window.ErrUnknown):
		return answerJSON(c, http.StatusNotFound, typeJSON, refusal(err.Error(), "unknown-session"))
	case err != nil:
		return s.patchesError(c.Request().Context(), err)
	}
	defer func() { r.Close(time.Now()) }()
	if r.Page != nil {
		return s.sendPage(c, r, form, typeJSON)
	}
	if r.Session.State != window.Done {
		c.Response().Header().Set("Retry-After", seconds(r.Session.PollAfter))
	}
	if form == patches.SessionKey {
		return answerJSON(c, http.StatusOK, typeJSON, originalAnswer{State: r.Session.State, Vulnerabilities: &[]struct{}{}})
	}
	return answerJSON(c, http.StatusAccepted, typeJSON, refusal(originalNothing, r.Session.State))
}
