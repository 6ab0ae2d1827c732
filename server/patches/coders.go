package patches

import (
	"bytes"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// coders compress pages, one at a time: each page is compressed once, and a
// coder takes more memory than a page.
type coders struct {
	mu   sync.Mutex
	gzip *gzip.Writer
	zstd *zstd.Encoder
}

// gzipLevel is worth its time, since a copy is sent to many.
const gzipLevel = 5

// code writes what write writes, compressed.
func (c *coders) code(to *bytes.Buffer, coding string, write func(io.Writer) error) error {
	if coding == "" {
		return write(to)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var w interface {
		io.WriteCloser
		Reset(io.Writer)
	}
	switch {
	case coding == "gzip" && c.gzip == nil:
		// With these options neither constructor fails.
		c.gzip, _ = gzip.NewWriterLevel(nil, gzipLevel)
		w = c.gzip
	case coding == "gzip":
		w = c.gzip
	case c.zstd == nil:
		c.zstd, _ = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(256<<10), zstd.WithLowerEncoderMem(true))
		w = c.zstd
	default:
		w = c.zstd
	}
	w.Reset(to)
	if err := write(w); err != nil {
		return err
	}
	return w.Close()
}
