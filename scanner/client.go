package scanner

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"oriel/clair"
)

const (
	// held is how long the server is asked to wait for something to read.
	held = 20 * time.Second
	// requestTime bounds one request, and maxPage the bytes of an answer. A
	// server that goes beyond either is not one of ours.
	requestTime = 3 * time.Minute
	maxPage     = 256 << 20
	maxError    = 64 << 10
	// leaveTime is how long whoever ends a scan waits for that to be told.
	leaveTime = 2 * time.Second
)

// errUnreadable says that an answer came whole and cannot be read. Asking for
// it again gives the same.
var errUnreadable = errors.New("the server's answer cannot be read")

// jitter varies a time by a quarter.
func jitter(d time.Duration) time.Duration {
	return d - d/4 + rand.N(d/2+1)
}

// session is a session as the server describes it.
type session struct {
	ID          string `json:"id"`
	State       string `json:"state"`
	Position    int    `json:"position"`
	PollAfterMS int64  `json:"poll_after_ms"`
}

// page is an answer to a request for rows. rows is nil where there is nothing
// to read yet, or nothing more.
type page struct {
	state   string
	rows    []*clair.Vulnerability
	next    string
	session session
}

// totals asks how many rows the list of each platform has.
func (s *Scanner) totals(ctx context.Context) (map[string]int, error) {
	var known struct {
		Platforms []struct {
			Name            string
			Vulnerabilities int
		}
	}
	pause := newPause(s.GiveUp)
	err := pause.until(ctx, func() error {
		return s.send(ctx, http.MethodGet, "/platforms", nil, func(res *http.Response, body io.Reader) error {
			return read(body, &known)
		})
	})
	out := map[string]int{}
	for _, p := range known.Platforms {
		out[p.Name] = p.Vulnerabilities
	}
	return out, err
}

func (s *Scanner) open(ctx context.Context, platform string) (out session, err error) {
	body, err := json.Marshal(map[string]string{"platform": platform})
	if err != nil {
		return out, err
	}
	err = s.send(ctx, http.MethodPost, "/sessions", body, func(_ *http.Response, body io.Reader) error {
		return read(body, &out)
	})
	return out, err
}

// leave ends a session although the context has ended. That it may fail does
// not matter: the server finds out by itself.
func (s *Scanner) leave(ctx context.Context, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTime)
	defer cancel()
	_ = s.send(ctx, http.MethodDelete, "/sessions/"+url.PathEscape(id), nil, func(*http.Response, io.Reader) error { return nil })
}

// page asks for what follows a cursor. Rows are handed out once all of the
// answer is there, so that a page that breaks off leaves nothing behind.
func (s *Scanner) page(ctx context.Context, id, after string) (*page, error) {
	q := url.Values{"wait": {held.String()}}
	if after != "" {
		q.Set("after", after)
	}
	out := &page{}
	err := s.send(ctx, http.MethodGet, "/sessions/"+url.PathEscape(id)+"/vulnerabilities?"+q.Encode(), nil,
		func(res *http.Response, body io.Reader) error {
			if res.StatusCode == http.StatusAccepted {
				return read(body, &out.session)
			}
			out.state, out.next = res.Header.Get("Oriel-State"), res.Header.Get("Oriel-Next")
			if out.state == "" {
				return fmt.Errorf("%w: it does not say what state the session is in", errUnreadable)
			}
			for d := json.NewDecoder(body); ; {
				var row struct {
					clair.Vulnerability
					Aliases []string `json:"aliases"`
				}
				if err := d.Decode(&row); errors.Is(err, io.EOF) {
					return nil
				} else if err != nil {
					return unreadable(err)
				}
				v := row.Vulnerability
				v.Aliases = row.Aliases
				out.rows = append(out.rows, &v)
			}
		})
	return out, err
}

// read reads one JSON document.
func read(body io.Reader, into any) error {
	b, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, into); err != nil {
		return unreadable(err)
	}
	return nil
}

// unreadable tells what is wrong with an answer from what is wrong with the
// connection.
func unreadable(err error) error {
	_, syntax := errors.AsType[*json.SyntaxError](err)
	_, kind := errors.AsType[*json.UnmarshalTypeError](err)
	if syntax || kind || errors.Is(err, clair.ErrInvalid) {
		return fmt.Errorf("%w: %w", errUnreadable, err)
	}
	return err
}

// send sends a request and has its answer read; one of another status than 2xx
// is a *refusal.
func (s *Scanner) send(ctx context.Context, method, path string, body []byte, answer func(*http.Response, io.Reader) error) error {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, s.base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Accept", "application/x-ndjson, application/json;q=0.9")
	req.Header.Set("Accept-Encoding", "zstd, gzip;q=0.9")
	if s.UserAgent != "" {
		req.Header.Set("User-Agent", s.UserAgent)
	}
	if s.Token != "" {
		req.Header.Set("Authorization", "Bearer "+s.Token)
	}
	res, err := s.Client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	plain, done, err := decompressed(res)
	if err != nil {
		return err
	}
	defer done()
	if res.StatusCode/100 == 2 {
		return answer(res, plain)
	}
	r := &refusal{status: res.StatusCode}
	var said struct{ Code, Message string }
	// Whatever is in between may answer in its own words.
	if b, err := io.ReadAll(io.LimitReader(plain, maxError)); err == nil && json.Unmarshal(b, &said) == nil {
		r.code, r.message = said.Code, said.Message
	}
	if n, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && n > 0 {
		r.after = min(time.Duration(n)*time.Second, time.Minute)
	}
	return r
}

// decompressed reads an answer's body, up to maxPage bytes.
func decompressed(res *http.Response) (body io.Reader, done func(), err error) {
	done = func() {}
	switch res.Header.Get("Content-Encoding") {
	case "zstd":
		z, err := zstd.NewReader(res.Body, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(8<<20))
		if err != nil {
			return nil, nil, err
		}
		body, done = z, z.Close
	case "gzip":
		z, err := gzip.NewReader(res.Body)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, nil, err
		}
		if err != nil {
			return bytes.NewReader(nil), done, nil // an answer without a body
		}
		body = z
	default:
		body = res.Body
	}
	return &limited{body, maxPage}, done, nil
}

// limited is a reader with an end that is an error.
type limited struct {
	r    io.Reader
	left int64
}

func (l *limited) Read(b []byte) (int, error) {
	if l.left <= 0 {
		return 0, fmt.Errorf("%w: it is over %d bytes", errUnreadable, int64(maxPage))
	}
	n, err := l.r.Read(b[:min(int64(len(b)), l.left)])
	l.left -= int64(n)
	return n, err
}
