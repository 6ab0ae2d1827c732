package fetch

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/therootcompany/xz"

	"oriel/clair"
)

const (
	// maxWindow limits the memory of one decompressor: as much as zstd needs up
	// to level 19 (RFC 8878 requires it of every decoder), and twice as much as
	// xz needs at its default level. Files that need more are refused.
	maxWindow = 8 << 20
	maxDict   = 16 << 20
	peekSize  = 64 << 10
)

// Decompress returns the plain bytes of a stream that is plain or compressed
// with gzip, bzip2, zstd or xz, which its first bytes decide. A stream that
// ends early is an error, never an end; one that needs more memory than a
// decompressor may use is an ErrTooLarge. Close does not close r.
func Decompress(r io.Reader) (io.ReadCloser, error) {
	b := bufio.NewReaderSize(r, peekSize)
	head, err := b.Peek(6)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(b)
		if err != nil {
			return nil, fmt.Errorf("decompress gzip: %w", err)
		}
		return &decompressor{name: "gzip", r: z, close: z.Close}, nil
	case len(head) >= 4 && bytes.HasPrefix(head, []byte("BZh")) && '1' <= head[3] && head[3] <= '9':
		return &decompressor{name: "bzip2", r: bzip2.NewReader(b)}, nil
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, fmt.Errorf("decompress zstd: %w", err)
		}
		return &decompressor{name: "zstd", r: z, close: func() error { z.Close(); return nil }}, nil
	case bytes.HasPrefix(head, []byte{0xfd, '7', 'z', 'X', 'Z', 0}):
		z, err := xz.NewReader(b, maxDict)
		if err != nil {
			return nil, fmt.Errorf("decompress xz: %w", classify(err))
		}
		return &decompressor{name: "xz", r: z}, nil
	}
	return &decompressor{r: b}, nil
}

// decompressor names the compression in errors.
type decompressor struct {
	name  string // "" for none
	r     io.Reader
	close func() error
}

func (d *decompressor) Read(p []byte) (int, error) {
	n, err := d.r.Read(p)
	if err == nil || err == io.EOF || d.name == "" {
		return n, err
	}
	return n, fmt.Errorf("decompress %s: %w", d.name, classify(err))
}

func (d *decompressor) Close() error {
	if d.close == nil {
		return nil
	}
	return d.close()
}

// classify maps the errors of libraries to those that callers distinguish.
func classify(err error) error {
	switch {
	case errors.Is(err, xz.ErrMemlimit), errors.Is(err, zstd.ErrWindowSizeExceeded):
		return fmt.Errorf("%w: its window is over the limit: %w", clair.ErrTooLarge, err)
	case errors.Is(err, xz.ErrBuf):
		return fmt.Errorf("%w: %w", io.ErrUnexpectedEOF, err)
	}
	return err
}
