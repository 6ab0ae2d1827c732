package fetch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"

	"oriel/clair"
)

// forward is how many bytes an attempt must bring before the count of retries
// starts again, so that a server that sends a little each time does not keep a
// download alive forever.
const forward = 64 << 10

// download is the download of one file, in one or more attempts.
type download struct {
	client   *Client
	req      Request
	url      *url.URL
	last     validators
	progress func(done, total int64)

	tmp  *os.File
	hash hash.Hash
	// got are the validators of the bytes written so far, and size is their
	// number.
	got  validators
	size int64
}

// retryError is a temporary failure.
type retryError struct {
	err   error
	after time.Duration // what the server asked to wait, 0 where it did not
}

func (e *retryError) Error() string { return e.err.Error() }
func (e *retryError) Unwrap() error { return e.err }

func retry(err error) error { return &retryError{err: err} }

// download fetches over HTTP into a temporary file.
func (c *Client) download(ctx context.Context, r Request, last validators) (*File, clair.Fingerprint, error) {
	u, err := url.Parse(r.URL)
	if err != nil || u.Host == "" {
		// The parser's error would repeat the address, passwords included.
		return nil, "", clair.Invalid("url", "the address cannot be read")
	}
	tmp, err := os.CreateTemp(c.cfg.TempDir, tempPattern)
	if err != nil {
		return nil, "", fmt.Errorf("make a temporary file: %w", err)
	}
	f := &File{f: tmp, temp: true}
	d := &download{client: c, req: r, url: u, last: last, tmp: tmp, hash: sha256.New(), progress: progressOf(ctx)}
	err = d.run(ctx)
	if err == nil {
		d.got.sha256 = hex.EncodeToString(d.hash.Sum(nil))
		if d.got.sha256 == last.sha256 {
			err = clair.ErrUnchanged
		}
	}
	if err == nil {
		_, err = tmp.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, "", errors.Join(err, f.Close())
	}
	f.size = d.size
	return f, d.got.fingerprint(), nil
}

// run makes attempts until one completes or further ones are pointless.
func (d *download) run(ctx context.Context) error {
	cfg := d.client.cfg
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = cfg.RetryMin, cfg.RetryMax
	pause.Reset()
	for failures := 0; ; {
		before := d.size
		err := d.attempt(ctx)
		again, ok := errors.AsType[*retryError](err)
		if !ok {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if d.size-before >= forward {
			failures = 0
			pause.Reset()
		}
		if failures++; failures > cfg.Retries {
			return fmt.Errorf("%w, after %d attempts: %w", clair.ErrUnavailable, failures, again.err)
		}
		wait := max(min(pause.NextBackOff(), cfg.RetryMax), again.after)
		if wait > cfg.MaxWait {
			return fmt.Errorf("%w: the server asks to come back in %v: %w", clair.ErrUnavailable, wait, again.err)
		}
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

var errStalled = errors.New("no data for too long")

// attempt makes one request and copies its body.
func (d *download) attempt(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	req, err := d.request(ctx)
	if err != nil {
		return err
	}
	// One timer covers the answer and then every read.
	stall := time.AfterFunc(d.client.cfg.Stall, func() { cancel(errStalled) })
	defer stall.Stop()
	res, err := d.client.http.Do(req)
	if err != nil {
		return transportError(ctx, err)
	}
	defer res.Body.Close()
	total, err := d.accept(req, res)
	if err != nil {
		return err
	}
	if err := d.copy(ctx, res.Body, total, stall); err != nil {
		return err
	}
	// Trailers exist once the body has been read.
	if said := res.Trailer.Get(d.req.ErrorTrailer); d.req.ErrorTrailer != "" && said != "" {
		return d.again(fmt.Errorf("the server could not finish: %.200q", said))
	}
	return nil
}

// transportError returns the reason for a missing answer, without the address
// in *url.Error.
func transportError(ctx context.Context, err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	switch {
	case errors.Is(err, clair.ErrInvalid): // a redirect that is not followed
		return err
	case ctx.Err() != nil:
		return retry(context.Cause(ctx)) // run tells a stall from the caller's end
	}
	return retry(err)
}

// request requests the whole file, unless it has not changed, or the rest of
// it if it is still the same.
func (d *download) request(ctx context.Context) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url.String(), nil)
	if err != nil {
		return nil, clair.Invalid("url", "the address cannot be read")
	}
	for key, vals := range d.req.Header {
		req.Header[key] = vals
	}
	req.Header.Set("User-Agent", d.client.cfg.UserAgent)
	if req.Header.Get("Accept-Encoding") == "" {
		req.Header.Set("Accept-Encoding", "identity")
	}
	if same := d.got.strong(); d.size > 0 && same != "" {
		req.Header.Set("Range", "bytes="+strconv.FormatInt(d.size, 10)+"-")
		req.Header.Set("If-Range", same)
		return req, nil
	}
	if d.last.etag != "" {
		req.Header.Set("If-None-Match", d.last.etag)
	}
	if d.last.modified != "" {
		req.Header.Set("If-Modified-Since", d.last.modified)
	}
	return req, nil
}

// strong returns a validator by which two byte ranges may be joined, or "". A
// weak ETag is not one (RFC 9110, section 13.1.5).
func (v validators) strong() string {
	if v.etag != "" && !strings.HasPrefix(v.etag, "W/") {
		return v.etag
	}
	return v.modified
}

// accept checks the head of an answer and returns the length of the whole, or
// -1 if it is not known.
func (d *download) accept(req *http.Request, res *http.Response) (total int64, err error) {
	switch {
	case res.StatusCode == http.StatusOK:
		if err := d.startOver(); err != nil {
			return 0, err
		}
		d.got = validators{etag: res.Header.Get("ETag"), modified: res.Header.Get("Last-Modified")}
		total = res.ContentLength
	case res.StatusCode == http.StatusPartialContent && req.Header.Get("Range") != "":
		if total, err = d.resume(res.Header); err != nil {
			return 0, err
		}
	case res.StatusCode == http.StatusNotModified && (d.last.etag != "" || d.last.modified != ""):
		return 0, clair.ErrUnchanged
	default:
		return 0, d.refused(res)
	}
	if total > d.req.MaxSize {
		return 0, fmt.Errorf("%w: %d bytes, and the limit is %d", clair.ErrTooLarge, total, d.req.MaxSize)
	}
	return total, nil
}

// startOver discards the bytes so far.
func (d *download) startOver() error {
	d.size = 0
	d.hash.Reset()
	d.got = validators{}
	if err := d.tmp.Truncate(0); err != nil {
		return fmt.Errorf("write a temporary file: %w", err)
	}
	if _, err := d.tmp.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("write a temporary file: %w", err)
	}
	return nil
}

// again makes the next attempt start over.
func (d *download) again(err error) error {
	if err := d.startOver(); err != nil {
		return err
	}
	return retry(err)
}

// resume checks that a part is the requested one, and returns the length of
// the whole.
func (d *download) resume(h http.Header) (total int64, err error) {
	contentRange := h.Get("Content-Range")
	span, isBytes := strings.CutPrefix(contentRange, "bytes ")
	span, whole, _ := strings.Cut(span, "/")
	start, _, _ := strings.Cut(span, "-")
	at, err := strconv.ParseInt(start, 10, 64)
	etag := h.Get("ETag")
	if !isBytes || err != nil || at != d.size || etag != "" && etag != d.got.etag {
		return 0, d.again(fmt.Errorf("the server sent the wrong part: %.60q", contentRange))
	}
	if whole == "*" {
		return -1, nil
	}
	if total, err = strconv.ParseInt(whole, 10, 64); err != nil {
		return 0, d.again(fmt.Errorf("the server sent the wrong part: %.60q", contentRange))
	}
	return total, nil
}

// refused returns the error of a status without content.
func (d *download) refused(res *http.Response) error {
	err := fmt.Errorf("the server answered %d %s", res.StatusCode, http.StatusText(res.StatusCode))
	switch code := res.StatusCode; {
	case code == http.StatusRequestedRangeNotSatisfiable && d.size > 0:
		return d.again(err)
	case code == http.StatusTooManyRequests, code == http.StatusRequestTimeout, code >= 500 && code != http.StatusNotImplemented:
		return &retryError{err: err, after: retryAfter(res.Header.Get("Retry-After"), time.Now())}
	case code == http.StatusNotFound, code == http.StatusGone:
		return fmt.Errorf("%w: %w", clair.ErrNotFound, err)
	}
	return err
}

// retryAfter reads the header's two forms, seconds and a date; it returns 0 if
// there is none.
func retryAfter(h string, now time.Time) time.Duration {
	if h == "" {
		return 0
	}
	if s, err := strconv.ParseInt(h, 10, 32); err == nil {
		return max(0, time.Duration(s)*time.Second)
	}
	if t, err := http.ParseTime(h); err == nil {
		return max(0, t.Sub(now))
	}
	return 0
}

// copy reads a body to its end.
func (d *download) copy(ctx context.Context, body io.Reader, total int64, stall *time.Timer) error {
	buf := make([]byte, 64<<10)
	d.progress(d.size, total)
	for {
		n, err := body.Read(buf)
		stall.Reset(d.client.cfg.Stall)
		if d.size+int64(n) > d.req.MaxSize {
			return fmt.Errorf("%w: more than %d bytes", clair.ErrTooLarge, d.req.MaxSize)
		}
		if n > 0 {
			if _, err := d.tmp.Write(buf[:n]); err != nil {
				return fmt.Errorf("write a temporary file: %w", err)
			}
			d.hash.Write(buf[:n])
			d.size += int64(n)
			d.progress(d.size, total)
		}
		switch {
		case err == nil:
		case !errors.Is(err, io.EOF):
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			return retry(fmt.Errorf("after %d bytes: %w", d.size, err))
		case total >= 0 && d.size > total: // going on from there cannot help
			return d.again(fmt.Errorf("%d bytes where %d were announced", d.size, total))
		case d.size < total:
			return retry(fmt.Errorf("%d of %d bytes: %w", d.size, total, io.ErrUnexpectedEOF))
		default:
			return nil
		}
	}
}
