package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"oriel/clair"
)

const (
	// maxBody bounds the bytes that are read of a response: a page of the
	// window, or tens of thousands of feeds.
	maxBody = 256 << 20
	// maxError bounds the bytes that are read of an error.
	maxError = 64 << 10
	// maxWindow bounds the memory of a decompressor.
	maxWindow = 8 << 20
)

// ErrUnreadable is the error of a response that arrived whole and has no
// meaning. Asking for it again returns the same.
var ErrUnreadable = errors.New("the server's response cannot be read")

// request is a request to the server.
type request struct {
	method, path string
	body         io.Reader
	contentType  string
	accept       string
}

// json sends a request and decodes the JSON of its response, unless into is
// nil.
func (c *Client) json(ctx context.Context, r request, into any) error {
	return c.do(ctx, r, func(_ *http.Response, body io.Reader) error {
		if into == nil {
			return nil
		}
		return readJSON(body, into)
	})
}

// do sends a request and passes its response, with the decompressed body, to
// read. A status other than 2xx is an *Error.
func (c *Client) do(ctx context.Context, r request, read func(*http.Response, io.Reader) error) error {
	req, err := http.NewRequestWithContext(ctx, r.method, c.url+r.path, r.body)
	if err != nil {
		return fmt.Errorf("ask the server: %w", err)
	}
	for name, value := range map[string]string{
		"Accept":          r.accept,
		"Accept-Encoding": "zstd, gzip;q=0.9",
		"Content-Type":    r.contentType,
		"User-Agent":      c.userAgent,
	} {
		if value != "" {
			req.Header.Set(name, value)
		}
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("ask the server: %w", err)
	}
	defer res.Body.Close()
	body, done, err := decompressed(res)
	if err != nil {
		return fmt.Errorf("ask the server at %s: %w", c.url, err)
	}
	defer done()
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("the server at %s refuses: %w", c.url, newError(res, body))
	}
	if err := read(res, body); err != nil {
		return fmt.Errorf("ask the server at %s for %s: %w", c.url, req.URL.Path, err)
	}
	return nil
}

// readJSON reads one JSON document.
func readJSON(body io.Reader, into any) error {
	b, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, into); err != nil {
		return unreadable(err)
	}
	return nil
}

// unreadable adds ErrUnreadable to errors that are due to the response and not
// to the connection.
func unreadable(err error) error {
	_, syntax := errors.AsType[*json.SyntaxError](err)
	_, kind := errors.AsType[*json.UnmarshalTypeError](err)
	if syntax || kind || errors.Is(err, clair.ErrInvalid) {
		return fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	return err
}

// decompressed returns the body of a response, which fails beyond maxBody
// bytes. The caller calls done.
func decompressed(res *http.Response) (body io.Reader, done func(), err error) {
	done = func() {}
	switch res.Header.Get("Content-Encoding") {
	case "zstd":
		z, err := zstd.NewReader(res.Body, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, nil, err
		}
		body, done = z, z.Close
	case "gzip":
		z, err := gzip.NewReader(res.Body)
		if errors.Is(err, io.EOF) {
			return bytes.NewReader(nil), done, nil // a response without a body
		}
		if err != nil {
			return nil, nil, err
		}
		body = z
	default:
		body = res.Body
	}
	return &limitedReader{body, maxBody}, done, nil
}

// limitedReader fails, rather than ends, at its limit.
type limitedReader struct {
	r    io.Reader
	left int64
}

// Read reads up to the limit.
func (l *limitedReader) Read(b []byte) (int, error) {
	if l.left <= 0 {
		return 0, fmt.Errorf("%w: it is over %d bytes", ErrUnreadable, int64(maxBody))
	}
	n, err := l.r.Read(b[:min(int64(len(b)), l.left)])
	l.left -= int64(n)
	return n, err
}
