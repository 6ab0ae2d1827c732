package compress

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"sync"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// zipMin is the length from which compressing a text is worth the time of
// unpacking it.
const zipMin = 96

// maxText limits the unpacked size of one stored text.
const maxText = 64 << 20

// zstdMagic starts every zstd frame, and no s2 block of zipMin bytes or more.
const zstdMagic = "\x28\xb5\x2f\xfd"

// zstdMin is the length from which a text is worth zstd's time.
const zstdMin = 2 << 10

// Codec compresses texts for storing: the many short texts of advisories with
// s2, which takes at most a third of zstd's time for a quarter more space, and
// long ones and whole documents with zstd. It creates zstd's coders when they
// are first used.
type Codec struct {
	once sync.Once
	enc  *zstd.Encoder
	dec  *zstd.Decoder
}

func (z *Codec) init() {
	z.once.Do(func() {
		// With these options neither constructor fails. Only a few are used at
		// a time, because each coder has its own window in memory.
		z.enc, _ = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(2), zstd.WithEncoderLevel(zstd.SpeedFastest),
			zstd.WithEncoderCRC(false), zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(128<<10))
		z.dec, _ = zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(maxText))
	})
}

// Pack returns the stored form of a text: the text itself, or its compressed
// bytes if they are shorter.
func (z *Codec) Pack(text string) any {
	if len(text) < zipMin {
		return text
	}
	var b []byte
	if len(text) >= zstdMin {
		b = z.PackBytes([]byte(text))
	} else {
		b = s2.EncodeBetter(nil, []byte(text))
	}
	if len(b) < len(text) {
		return b
	}
	return text
}

// PackBytes compresses a document.
func (z *Codec) PackBytes(b []byte) []byte {
	z.init()
	return z.enc.EncodeAll(b, make([]byte, 0, len(b)/2+64))
}

// Text is a column with the result of Pack. It implements sql.Scanner.
type Text struct {
	Zip *Codec
	// text is the last text that was read.
	Text    string
	scratch []byte
}

// Scan unpacks a stored text.
func (p *Text) Scan(stored any) (err error) {
	switch s := stored.(type) {
	case string:
		p.Text = s
		return nil
	case []byte:
		if p.scratch, err = p.Zip.unpackText(p.scratch[:0], s); err != nil {
			return fmt.Errorf("unpack a stored text of %d bytes: %w", len(s), err)
		}
		p.Text = string(p.scratch)
		return nil
	default:
		return fmt.Errorf("a stored text is of type %T", stored)
	}
}

// unpackText appends the text of a result of Pack.
func (z *Codec) unpackText(to, b []byte) ([]byte, error) {
	if bytes.HasPrefix(b, []byte(zstdMagic)) {
		z.init()
		return z.dec.DecodeAll(b, to)
	}
	n, err := s2.DecodedLen(b)
	if err != nil || n > maxText {
		return nil, cmp.Or(err, s2.ErrTooLarge)
	}
	return s2.Decode(slices.Grow(to, n)[:n], b)
}

// UnpackedLen returns the length of an unpacked text, according to its stored
// form.
func UnpackedLen(stored any) int64 {
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

// UnpackBytes unpacks a result of PackBytes.
func (z *Codec) UnpackBytes(b []byte) ([]byte, error) {
	z.init()
	out, err := z.dec.DecodeAll(b, nil)
	if err != nil {
		return nil, fmt.Errorf("unpack a stored text: %w", err)
	}
	return out, nil
}
