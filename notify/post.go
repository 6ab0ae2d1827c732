package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"oriel/internal/sanitize"
)

// poster sends deliveries to one webhook.
type poster struct {
	hook          Webhook
	timeout       time.Duration
	signer        *signer
	userAgent     string
	authorization func() (string, error)
	client        *http.Client
}

const (
	// maxAnswer limits how much of an answer is read: its beginning is quoted,
	// and the connection can be used again.
	maxAnswer = 4 << 10
	// maxAnswerHeader limits the headers of an answer.
	maxAnswerHeader = 32 << 10
	// maxSaid limits how much of an answer is quoted, in bytes.
	maxSaid = 200
)

func newPoster(w Webhook, timeout time.Duration, o Options) (*poster, error) {
	s, err := newSigner(w.Secret)
	if err != nil {
		return nil, fmt.Errorf("webhook %s: secret: %w", w.Name, err)
	}
	dial := o.Dial
	if dial == nil {
		dial = (&net.Dialer{Timeout: timeout}).DialContext
	}
	return &poster{
		hook:          w,
		timeout:       timeout,
		signer:        s,
		userAgent:     o.UserAgent,
		authorization: o.Authorization,
		client: &http.Client{
			Transport: &http.Transport{
				Proxy:                  http.ProxyFromEnvironment,
				DialContext:            dial,
				TLSHandshakeTimeout:    timeout,
				ForceAttemptHTTP2:      true,
				MaxIdleConnsPerHost:    1,
				IdleConnTimeout:        time.Minute,
				MaxResponseHeaderBytes: maxAnswerHeader,
				DisableCompression:     true,
			},
			// A redirected POST may arrive as a GET, or elsewhere. If an
			// endpoint moves, the configuration has to be changed.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

func (p *poster) close() { p.client.CloseIdleConnections() }

// outcome is the result of one attempt: received if err is nil.
type outcome struct {
	err error
	// gone reports that the receiver wants no further attempt.
	gone bool
	// retryAfter is the least delay that the receiver asked for.
	retryAfter time.Duration
}

// post makes one attempt, within the timeout.
func (p *poster) post(ctx context.Context, id string, body []byte) outcome {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	req, err := p.request(ctx, id, body)
	if err != nil {
		return outcome{err: err}
	}
	res, err := p.client.Do(req)
	if err != nil {
		return outcome{err: p.explain(err)}
	}
	defer res.Body.Close()
	if res.StatusCode >= 200 && res.StatusCode < 300 {
		// The content does not matter, but reading a short answer keeps the
		// connection for the next delivery.
		_, _ = io.CopyN(io.Discard, res.Body, maxAnswer)
		return outcome{}
	}
	return outcome{
		err:        errors.New(refusal(res)),
		gone:       res.StatusCode == http.StatusGone,
		retryAfter: retryAfter(res.Header.Get("Retry-After"), time.Now()),
	}
}

func (p *poster) request(ctx context.Context, id string, body []byte) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.hook.URL, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("make the request: %w", err)
	}
	req.Header.Set("User-Agent", p.userAgent)
	if p.authorization != nil {
		value, err := p.authorization()
		if err != nil {
			return nil, fmt.Errorf("make the Authorization header: %w", err)
		}
		req.Header.Set("Authorization", value)
	}
	for name, value := range p.hook.Headers {
		req.Header.Set(name, value)
	}
	req.Header.Set("Content-Type", "application/json")
	p.signer.sign(req.Header, id, time.Now(), body)
	return req, nil
}

// explain describes why there was no answer. It omits the address, which is in
// the configuration and may contain a password.
func (p *poster) explain(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded), os.IsTimeout(err):
		return fmt.Errorf("no answer within %v", p.timeout)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("the connection was refused (%w)", err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return fmt.Errorf("the receiver closed the connection without an answer (%w)", err)
	}
	if e, ok := errors.AsType[*net.DNSError](err); ok && e.IsNotFound {
		return fmt.Errorf("there is no host %s", e.Name)
	}
	return err
}

// refusal describes an answer other than success.
func refusal(res *http.Response) string {
	status := fmt.Sprintf("%d %s", res.StatusCode, http.StatusText(res.StatusCode))
	switch {
	case res.StatusCode >= 300 && res.StatusCode < 400:
		to := "elsewhere"
		if u, err := res.Location(); err == nil {
			to = clean(u.Redacted())
		}
		return fmt.Sprintf("the receiver redirects to %s (%s); redirects are not followed", to, status)
	case res.StatusCode == http.StatusGone:
		return fmt.Sprintf("the receiver says that it is gone (%s)", status)
	}
	// The attempt's timeout ends a slow answer.
	said, _ := io.ReadAll(io.LimitReader(res.Body, maxSaid))
	if text := clean(string(said)); text != "" {
		return fmt.Sprintf("the receiver answered %s: %s", status, text)
	}
	return "the receiver answered " + status
}

// clean returns a foreign text as one short line.
func clean(text string) string {
	text = strings.ToValidUTF8(text[:min(len(text), maxSaid)], "")
	return strings.TrimSpace(sanitize.Line(text))
}

// retryAfter reads the header of that name: seconds, or a date.
func retryAfter(text string, now time.Time) time.Duration {
	if n, err := strconv.ParseInt(text, 10, 32); err == nil {
		return time.Duration(max(n, 0)) * time.Second
	}
	if t, err := http.ParseTime(text); err == nil {
		return max(t.Sub(now), 0)
	}
	return 0
}
