package reader

import (
	"bytes"
	"encoding/binary"
	"io"
	"testing"
	"testing/iotest"
	"unicode/utf16"

	"github.com/stretchr/testify/require"

	"oriel/clair"
)

// encode16 encodes a text in UTF-16, with a mark if it begins with U+FEFF.
func encode16(order binary.AppendByteOrder, text string) []byte {
	var out []byte
	for _, u := range utf16.Encode([]rune(text)) {
		out = order.AppendUint16(out, u)
	}
	return out
}

func TestUTF8(t *testing.T) {
	const text = "{\"name\": \"é – 😀\"}\r\n"
	for _, c := range []struct {
		name string
		in   []byte
		want string
	}{
		{"plain", []byte(text), text},
		{"empty", nil, ""},
		{"one_byte", []byte("{"), "{"},
		{"mark", []byte("\ufeff" + text), text},
		{"mark_alone", []byte("\ufeff"), ""},
		{"utf16le_with_mark", encode16(binary.LittleEndian, "\ufeff"+text), text},
		{"utf16be_with_mark", encode16(binary.BigEndian, "\ufeff"+text), text},
		{"utf16le", encode16(binary.LittleEndian, text), text},
		{"utf16be", encode16(binary.BigEndian, text), text},
		{"utf16_mark_alone", []byte(markUTF16LE), ""},
		{"half_a_pair", []byte("\xff\xfe\x00\xd8a\x00b\x00"), "�ab"},
		{"binary", []byte("\x7fELF\x00\x00"), "\x7fELF\x00\x00"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := UTF8(c.in)
			require.NoError(t, err)
			require.Equal(t, c.want, string(got))
			streamed, err := io.ReadAll(iotest.OneByteReader(UTF8Reader(bytes.NewReader(c.in))))
			require.NoError(t, err)
			require.Equal(t, c.want, string(streamed))
		})
	}
	cut := encode16(binary.LittleEndian, "\ufeffab")[:5]
	_, err := UTF8(cut)
	require.ErrorIs(t, err, clair.ErrInvalid)
	_, err = io.ReadAll(UTF8Reader(bytes.NewReader(cut)))
	require.ErrorIs(t, err, clair.ErrInvalid)
}
