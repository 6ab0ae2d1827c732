package reader

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"unicode/utf16"
	"unicode/utf8"

	"oriel/clair"
)

// The byte order marks of Unicode.
const (
	markUTF8    = "\xef\xbb\xbf"
	markUTF16LE = "\xff\xfe"
	markUTF16BE = "\xfe\xff"
)

// byteOrder returns the byte order of a text in UTF-16, nil for any other. A
// text without a mark is recognized by its first character, which is ASCII in
// all formats that are read here.
func byteOrder(head []byte) binary.ByteOrder {
	switch {
	case len(head) < 2:
		return nil
	case string(head[:2]) == markUTF16LE:
		return binary.LittleEndian
	case string(head[:2]) == markUTF16BE:
		return binary.BigEndian
	case len(head) < 4 || head[0] != 0 && head[1] != 0:
		return nil
	case head[0] != 0 && head[2] != 0 && head[1] == 0 && head[3] == 0:
		return binary.LittleEndian
	case head[0] == 0 && head[2] == 0 && head[1] != 0 && head[3] != 0:
		return binary.BigEndian
	}
	return nil
}

// IsUTF16 reports by a text's first bytes whether it is in UTF-16.
func IsUTF16(head []byte) bool { return byteOrder(head) != nil }

// UTF8 returns a text in UTF-8 without a byte order mark. It returns the text
// itself if it is such a text. The error is an ErrInvalid if a text in UTF-16
// is cut off.
func UTF8(text []byte) ([]byte, error) {
	order := byteOrder(text)
	if order == nil {
		return bytes.TrimPrefix(text, []byte(markUTF8)), nil
	}
	if len(text)%2 != 0 {
		return nil, clair.Invalid("encoding", "the text in UTF-16 is cut off: it has %d bytes", len(text))
	}
	out := make([]byte, 0, len(text)/2)
	for i := 0; i < len(text); i += 2 {
		r := rune(order.Uint16(text[i:]))
		if utf16.IsSurrogate(r) && i+4 <= len(text) {
			if pair := utf16.DecodeRune(r, rune(order.Uint16(text[i+2:]))); pair != utf8.RuneError {
				r, i = pair, i+2
			}
		}
		if r == 0xfeff && i == 0 {
			continue // the mark
		}
		out = utf8.AppendRune(out, r)
	}
	return out, nil
}

// UTF8Reader returns a reader of a text in UTF-8 without a byte order mark, as
// UTF8 does for a text in memory.
func UTF8Reader(r io.Reader) io.Reader {
	if at, ok := r.(*io.SectionReader); ok {
		head := make([]byte, 4)
		n, _ := at.ReadAt(head, 0)
		if byteOrder(head[:n]) == nil && !bytes.HasPrefix(head[:n], []byte(markUTF8)) {
			return r // most files, which need no buffer
		}
	}
	b := bufio.NewReaderSize(r, 8<<10)
	head, _ := b.Peek(4)
	if order := byteOrder(head); order != nil {
		return &utf16Reader{r: b, order: order}
	}
	if bytes.HasPrefix(head, []byte(markUTF8)) {
		_, _ = b.Discard(len(markUTF8))
	}
	return b
}

// utf16Reader decodes a stream in UTF-16.
type utf16Reader struct {
	r     *bufio.Reader
	order binary.ByteOrder
	// out is decoded and not yet read, next a unit that was read too far.
	out  []byte
	next rune
	some bool
}

func (u *utf16Reader) Read(p []byte) (int, error) {
	for len(u.out) == 0 {
		r, err := u.unit()
		if err != nil {
			return 0, err
		}
		if utf16.IsSurrogate(r) {
			low, err := u.unit()
			if err != nil {
				return 0, err
			}
			if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
				r = pair
			} else {
				u.next = low
			}
		}
		if mark := r == 0xfeff && !u.some; !mark {
			u.out = utf8.AppendRune(u.out[:0], r)
		}
		u.some = true
	}
	n := copy(p, u.out)
	u.out = u.out[n:]
	return n, nil
}

// unit reads one unit of 16 bits.
func (u *utf16Reader) unit() (rune, error) {
	if r := u.next; r != 0 {
		u.next = 0
		return r, nil
	}
	var b [2]byte
	if _, err := io.ReadFull(u.r, b[:]); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = clair.Invalid("encoding", "the text in UTF-16 is cut off")
		}
		return 0, err
	}
	return rune(u.order.Uint16(b[:])), nil
}
