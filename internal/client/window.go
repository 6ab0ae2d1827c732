package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"oriel/clair"
	"oriel/internal/api"
)

const (
	// pageWait is how long the server is asked to hold a request for a page
	// that is not prepared yet.
	pageWait = 20 * time.Second
	// windowTime bounds a request of a scanner.
	windowTime = 3 * time.Minute
)

// Platforms returns the platforms whose lists can be read.
func (c *Client) Platforms(ctx context.Context) ([]api.Platform, error) {
	ctx, cancel := context.WithTimeout(ctx, windowTime)
	defer cancel()
	var list api.PlatformList
	err := c.json(ctx, request{method: http.MethodGet, path: api.PathPlatforms}, &list)
	return list.Platforms, err
}

// OpenSession opens a session for the list of a platform.
func (c *Client) OpenSession(ctx context.Context, platform string) (s api.Session, err error) {
	ctx, cancel := context.WithTimeout(ctx, windowTime)
	defer cancel()
	body, err := json.Marshal(api.SessionRequest{Platform: &platform})
	if err != nil {
		return s, err
	}
	err = c.json(ctx, request{
		method:      http.MethodPost,
		path:        api.PathSessions,
		body:        bytes.NewReader(body),
		contentType: api.TypeJSON,
	}, &s)
	return s, err
}

// CloseSession ends a session before its end.
func (c *Client) CloseSession(ctx context.Context, id string) error {
	return c.json(ctx, request{method: http.MethodDelete, path: api.PathSessions + "/" + url.PathEscape(id)}, nil)
}

// Page is a part of a platform's list.
type Page struct {
	// State is the session's.
	State api.SessionState
	// Rows is nil if nothing is prepared yet, or if the list has ended.
	Rows []*clair.Vulnerability
	// Next is the cursor for the page that follows.
	Next string
	// Session is set if nothing is prepared yet.
	Session api.Session
}

// Page returns the page after a cursor, "" for the first. It has either all of
// its rows or an error, so that a response that breaks off leaves nothing
// behind.
func (c *Client) Page(ctx context.Context, id, after string) (*Page, error) {
	ctx, cancel := context.WithTimeout(ctx, windowTime)
	defer cancel()
	query := url.Values{"wait": {pageWait.String()}}
	if after != "" {
		query.Set("after", after)
	}
	out := &Page{}
	err := c.do(ctx, request{
		method: http.MethodGet,
		path:   api.PathSessions + "/" + url.PathEscape(id) + "/vulnerabilities?" + query.Encode(),
		accept: api.TypeNDJSON + ", " + api.TypeJSON + ";q=0.9",
	}, out.read)
	return out, err
}

func (p *Page) read(res *http.Response, body io.Reader) error {
	if res.StatusCode == http.StatusAccepted {
		return readJSON(body, &p.Session)
	}
	p.State, p.Next = api.SessionState(res.Header.Get(api.StateHeader)), res.Header.Get(api.NextHeader)
	if p.State == "" {
		return fmt.Errorf("%w: the state of the session is missing", ErrUnreadable)
	}
	for d := json.NewDecoder(body); ; {
		var row api.Row
		if err := d.Decode(&row); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return unreadable(err)
		}
		v := row.Vulnerability
		v.Aliases = row.Aliases
		p.Rows = append(p.Rows, &v)
	}
}
