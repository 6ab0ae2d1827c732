package store

import (
	"bytes"
	"cmp"
	"fmt"
	"sync"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// zipMin is the length from which compressing a text is worth the time that
// unpacking it takes.
const zipMin = 96

// maxText bounds what one stored text may unpack to.
const maxText = 64 << 20

// zstdMagic starts every zstd frame, and no s2 block of zipMin bytes or more.
const zstdMagic = "\x28\xb5\x2f\xfd"

// zstdMin is the length from which a text is worth zstd's time.
const zstdMin = 1 << 10

// zipper compresses for storing: the many short texts of advisories with s2,
// which costs a third of zstd's time or less for a quarter more space, and
// long ones and whole documents with zstd. It makes zstd's coders at first use.
type zipper struct {
	once sync.Once
	enc  *zstd.Encoder
	dec  *zstd.Decoder
}

func (z *zipper) init() {
	z.once.Do(func() {
		// With these options neither constructor fails. Few at a time:
		// each coder has its own window in memory.
		z.enc, _ = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(2), zstd.WithEncoderLevel(zstd.SpeedFastest),
			zstd.WithEncoderCRC(false), zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(128<<10))
		z.dec, _ = zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(maxText))
	})
}

// pack gives what to store for a text: the text itself, or its compressed
// bytes where they are shorter.
func (z *zipper) pack(text string) any {
	if len(text) < zipMin {
		return text
	}
	var b []byte
	if len(text) >= zstdMin {
		b = z.packBytes([]byte(text))
	} else {
		b = s2.EncodeBetter(nil, []byte(text))
	}
	if len(b) < len(text) {
		return b
	}
	return text
}

// packBytes compresses a document.
func (z *zipper) packBytes(b []byte) []byte {
	z.init()
	return z.enc.EncodeAll(b, make([]byte, 0, len(b)/2+64))
}

// unpack gives the text for what pack returned.
func (z *zipper) unpack(stored any) (string, error) {
	switch s := stored.(type) {
	case string:
		return s, nil
	case []byte:
		return z.unpackText(s)
	default:
		return "", fmt.Errorf("a stored text is of type %T", stored)
	}
}

// unpackText reads either.
func (z *zipper) unpackText(b []byte) (string, error) {
	if bytes.HasPrefix(b, []byte(zstdMagic)) {
		out, err := z.unpackBytes(b)
		return string(out), err
	}
	if n, err := s2.DecodedLen(b); err != nil || n > maxText {
		return "", fmt.Errorf("unpack a stored text of %d bytes: %w", n, cmp.Or(err, s2.ErrTooLarge))
	}
	out, err := s2.Decode(nil, b)
	if err != nil {
		return "", fmt.Errorf("unpack a stored text: %w", err)
	}
	return string(out), nil
}

// unpackedLen is how many bytes unpack will give, as the stored text says.
func unpackedLen(stored any) int64 {
	switch s := stored.(type) {
	case string:
		return int64(len(s))
	case []byte:
		var h zstd.Header
		if bytes.HasPrefix(s, []byte(zstdMagic)) {
			if h.Decode(s) == nil && h.HasFCS {
				return int64(min(h.FrameContentSize, maxText))
			}
			return maxText
		}
		n, err := s2.DecodedLen(s)
		if err != nil {
			return 0 // unpacking it says what is wrong
		}
		return int64(n)
	}
	return 0
}

// unpackBytes reads what packBytes wrote.
func (z *zipper) unpackBytes(b []byte) ([]byte, error) {
	z.init()
	out, err := z.dec.DecodeAll(b, nil)
	if err != nil {
		return nil, fmt.Errorf("unpack a stored text: %w", err)
	}
	return out, nil
}

// inHalves calls f for the two halves of a range of n at once. Texts take as
// long to compress as to write, and a good part of the time of reading them.
func inHalves(n int, f func(from, to int)) {
	var wg sync.WaitGroup
	wg.Go(func() { f(0, n/2) })
	f(n/2, n)
	wg.Wait()
}
