package patches

import (
	"bytes"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// compressor compresses one page at a time. Each page is compressed once, and
// an encoder takes more memory than a page.
type compressor struct {
	mu   sync.Mutex // guards the encoders, which are made when first used
	gzip *gzip.Writer
	zstd *zstd.Encoder
}

// gzipLevel favors size over time, since a copy is sent to many sessions.
const gzipLevel = 5

// compress calls write with a writer that compresses to a buffer. The coding
// is "gzip", "zstd", or "" for none.
func (c *compressor) compress(to *bytes.Buffer, coding string, write func(io.Writer) error) error {
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
		// With these options the constructors do not fail.
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
