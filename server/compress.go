package server

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/labstack/echo/v4"
)

// coder is what the compressing writers have in common.
type coder interface {
	io.WriteCloser
	Flush() error
	Reset(io.Writer)
}

// compressLevel is gzip's and deflate's: reports are compressed while a client
// waits.
const compressLevel = 3

// coders makes the writers of each content coding. Their windows are small,
// for each response under way has one.
func coders() map[string]*sync.Pool {
	return map[string]*sync.Pool{
		"zstd": {New: func() any {
			// With these options the constructor does not fail.
			w, _ := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(128<<10),
				zstd.WithLowerEncoderMem(true), zstd.WithEncoderLevel(zstd.SpeedFastest))
			return w
		}},
		"gzip": {New: func() any {
			w, _ := gzip.NewWriterLevel(nil, compressLevel)
			return w
		}},
		"deflate": {New: func() any {
			w, _ := flate.NewWriter(nil, compressLevel)
			return w
		}},
	}
}

// compress gives a middleware that compresses responses as their request's
// Accept-Encoding allows, in order of its weights.
func compress() echo.MiddlewareFunc {
	pools := coders()
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			c.Response().Header().Add("Vary", "Accept-Encoding")
			coding, ok := pickCoding(c.Request().Header.Values("Accept-Encoding"))
			if !ok {
				return c.NoContent(http.StatusUnsupportedMediaType)
			}
			if coding == "" {
				return next(c)
			}
			w := &compressor{ResponseWriter: c.Response().Writer, coding: coding, pool: pools[coding]}
			c.Response().Writer = w
			err := next(c)
			if err != nil {
				c.Error(err) // answered through the compressor too
			}
			c.Response().Writer = w.ResponseWriter
			return w.close()
		}
	}
}

// pickCoding chooses among zstd, gzip, deflate and none (""); ok is false
// where the client wants none of them.
func pickCoding(headers []string) (coding string, ok bool) {
	weights := map[string]float64{}
	for part := range strings.SplitSeq(strings.Join(headers, ","), ",") {
		name, params, _ := strings.Cut(part, ";")
		q := 1.0
		if _, text, found := strings.Cut(params, "q="); found {
			q, _ = strconv.ParseFloat(strings.TrimSpace(text), 64)
		}
		name = strings.TrimPrefix(strings.ToLower(strings.TrimSpace(name)), "x-")
		if name != "" {
			weights[name] = q
		}
	}
	best := 0.0
	for _, name := range []string{"zstd", "gzip", "deflate"} {
		q, named := weights[name]
		if any, star := weights["*"]; star && !named {
			q = any
		}
		if q > best {
			coding, best = name, q
		}
	}
	if coding != "" {
		return coding, true
	}
	identity, named := weights["identity"]
	if any, star := weights["*"]; star && !named {
		return "", any > 0
	}
	return "", !named || identity > 0
}

// compressor compresses a response from its first byte on. A response without
// a body stays as it is, and so does one that says it is compressed already.
type compressor struct {
	http.ResponseWriter
	coding string
	pool   *sync.Pool
	w      coder
	status int
}

// WriteHeader is held back until it is known whether there is a body.
func (c *compressor) WriteHeader(status int) { c.status = status }

func (c *compressor) Write(b []byte) (int, error) {
	if c.w == nil {
		h := c.Header()
		if h.Get("Content-Encoding") != "" {
			c.header()
			return c.ResponseWriter.Write(b)
		}
		h.Set("Content-Encoding", c.coding)
		h.Del("Content-Length")
		c.header()
		c.w = c.pool.Get().(coder)
		c.w.Reset(c.ResponseWriter)
	}
	return c.w.Write(b)
}

func (c *compressor) header() {
	if c.status != 0 {
		c.ResponseWriter.WriteHeader(c.status)
		c.status = 0
	}
}

// FlushError sends what there is.
func (c *compressor) FlushError() error {
	c.header()
	if c.w != nil {
		if err := c.w.Flush(); err != nil {
			return err
		}
	}
	return http.NewResponseController(c.ResponseWriter).Flush()
}

// Unwrap lets http.ResponseController reach the connection.
func (c *compressor) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func (c *compressor) close() error {
	c.header()
	if c.w == nil {
		return nil
	}
	err := c.w.Close()
	c.w.Reset(nil)
	c.pool.Put(c.w)
	return err
}

// uncompressed takes the compression off a response that has not begun.
func uncompressed(c echo.Context) {
	if w, ok := c.Response().Writer.(*compressor); ok {
		c.Response().Writer = w.ResponseWriter
	}
}
