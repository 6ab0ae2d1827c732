package server

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/labstack/echo/v4"

	"oriel/clair"
)

const (
	// maxRatio is the maximum ratio of the size of a decoded request body to
	// that of the body as it was sent. Index reports and SBOMs reach about 30.
	maxRatio = 200
	// ratioFrom is the decoded size from which the ratio is checked: a short
	// repetitive document may exceed it.
	ratioFrom = 1 << 20
)

// requestBody returns a reader of a request's body, decoded if it has a
// Content-Encoding. Both the body as sent and the decoded one are limited to
// limit bytes; beyond, the error is an *http.MaxBytesError.
func requestBody(c echo.Context, limit int64) (io.Reader, error) {
	r := c.Request()
	raw := http.MaxBytesReader(c.Response(), r.Body, limit)
	switch coding := strings.ToLower(strings.TrimSpace(strings.Join(r.Header.Values(echo.HeaderContentEncoding), ","))); coding {
	case "", "identity":
		return raw, nil
	case "gzip", "x-gzip":
		b := &gzipBody{sent: &countingReader{r: raw}, limit: limit}
		b.account, _ = r.Body.(*accountedBody)
		return b, nil
	default:
		return nil, &statusError{
			status:  http.StatusUnsupportedMediaType,
			message: fmt.Sprintf("Content-Encoding %.40q: only gzip is supported", coding),
		}
	}
}

// gzipBody decodes a body within its limits. Errors of the coding wrap
// clair.ErrInvalid.
type gzipBody struct {
	sent    *countingReader
	limit   int64
	gzip    *gzip.Reader // nil before the first read
	decoded int64
	account *accountedBody // reserves the decoded bytes, too; may be nil
}

// Read implements io.Reader.
func (b *gzipBody) Read(p []byte) (int, error) {
	if b.gzip == nil {
		if b.account != nil {
			if err := b.account.reserve(gzipCost); err != nil {
				return 0, err
			}
		}
		z, err := gzip.NewReader(b.sent)
		if err != nil {
			return 0, codingError(err)
		}
		b.gzip = z
	}
	n, err := b.gzip.Read(p)
	b.decoded += int64(n)
	if b.account != nil {
		if err := b.account.hold(int64(n)); err != nil {
			return 0, err
		}
	}
	switch {
	case b.decoded > b.limit:
		return 0, &http.MaxBytesError{Limit: b.limit}
	case b.decoded > ratioFrom && b.decoded > maxRatio*b.sent.n:
		return 0, clair.Invalid("body", "is compressed by a factor of more than %d", maxRatio)
	case err == nil || errors.Is(err, io.EOF):
		return n, err
	}
	return n, codingError(err)
}

// codingError distinguishes a damaged body from one that is too long or could
// not be read.
func codingError(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return err
	}
	_, corrupt := errors.AsType[flate.CorruptInputError](err)
	if errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || corrupt {
		return clair.Invalid("body", "damaged gzip: %v", err)
	}
	return err
}

// countingReader counts the bytes read.
type countingReader struct {
	r io.Reader
	n int64
}

// Read implements io.Reader.
func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
