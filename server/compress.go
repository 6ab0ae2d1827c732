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

// encoder is implemented by the writers of all content codings.
type encoder interface {
	io.WriteCloser
	Flush() error
	Reset(io.Writer)
}

// compressLevel is the level of gzip and deflate. It is low because reports are
// compressed while a client waits.
const compressLevel = 3

// encoderPools returns a pool of writers for each content coding. Their windows
// are small because each response in progress has a writer.
func encoderPools() map[string]*sync.Pool {
	return map[string]*sync.Pool{
		"zstd": {New: func() any {
			// With these options NewWriter does not fail.
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

// compress returns a middleware that compresses responses with the coding that
// Accept-Encoding prefers.
func compress(memory *account) echo.MiddlewareFunc {
	pools := encoderPools()
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
			if c.Request().ProtoMajor >= 2 {
				w.memory = memory
			}
			c.Response().Writer = w
			err := next(c)
			if err != nil {
				c.Error(err) // the error response is compressed too
			}
			c.Response().Writer = w.ResponseWriter
			return w.close()
		}
	}
}

// pickCoding returns zstd, gzip, deflate or "" (no compression) for the values
// of Accept-Encoding; ok is false if the client accepts none of them.
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

// compressor compresses a response. It leaves responses without a body and
// those with a Content-Encoding unchanged.
type compressor struct {
	http.ResponseWriter
	coding string
	pool   *sync.Pool
	w      encoder
	status int
	// memory, if not nil, is where the encoder is reserved. If there is none
	// left, the response is not compressed.
	memory *account
	plain  bool
}

// WriteHeader defers the header until the first write or the end of the
// response.
func (c *compressor) WriteHeader(status int) { c.status = status }

func (c *compressor) Write(b []byte) (int, error) {
	if c.plain {
		return c.ResponseWriter.Write(b)
	}
	if c.w == nil {
		h := c.Header()
		if h.Get("Content-Encoding") == "" && c.memory != nil && !c.memory.reserve(0, compressorCost) {
			c.plain = true
			c.header()
			return c.ResponseWriter.Write(b)
		}
		if h.Get("Content-Encoding") != "" {
			c.header()
			return c.ResponseWriter.Write(b)
		}
		h.Set("Content-Encoding", c.coding)
		h.Del("Content-Length")
		c.header()
		c.w = c.pool.Get().(encoder)
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

// FlushError sends buffered data, as http.ResponseController wants.
func (c *compressor) FlushError() error {
	c.header()
	if c.w != nil {
		if err := c.w.Flush(); err != nil {
			return err
		}
	}
	return http.NewResponseController(c.ResponseWriter).Flush()
}

// Unwrap returns the underlying writer for http.ResponseController.
func (c *compressor) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func (c *compressor) close() error {
	c.header()
	if c.w == nil {
		return nil
	}
	if c.memory != nil {
		defer c.memory.release(compressorCost)
	}
	err := c.w.Close()
	c.w.Reset(nil)
	c.pool.Put(c.w)
	return err
}

// uncompressed disables compression of a response that has not begun.
func uncompressed(c echo.Context) {
	if w, ok := c.Response().Writer.(*compressor); ok {
		c.Response().Writer = w.ResponseWriter
	}
}
