package sanitize_test

import (
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"oriel/internal/sanitize"
)

func TestLine(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"plain", "libssl3 (naïve, 漢字)", "libssl3 (naïve, 漢字)"},
		{"empty", "", ""},
		{"escape_sequence", "a\x1b[31mb", "a\ufffd[31mb"},
		{"eight_bit_escape", "a\u009b31mb", "a\ufffd31mb"},
		{"line_breaks", "a\r\nb\tc\u2028d", "a  b c d"},
		{"direction", "a\u202eb", "a\ufffdb"},
		{"not_utf8", "a\xffb", "a\ufffdb"},
	} {
		t.Run(c.name, func(t *testing.T) { require.Equal(t, c.want, sanitize.Line(c.in)) })
	}
}

func TestText(t *testing.T) {
	require.Equal(t, "a\nb\tc\ufffdd", sanitize.Text("a\r\nb\tc\x1bd"))
}

func TestLines(t *testing.T) {
	require.Equal(t, []string{"a b", "c"}, sanitize.Lines([]string{"a\nb", "c"}))
	require.Nil(t, sanitize.Lines(nil))
}

func FuzzLine(f *testing.F) {
	f.Add("a\x1b[31m\r\n\u202e\xff")
	f.Fuzz(func(t *testing.T, s string) {
		got := sanitize.Line(s)
		require.True(t, utf8.ValidString(got))
		for _, r := range got {
			require.True(t, unicode.IsPrint(r) || r == unicode.ReplacementChar, "%q", got)
		}
		require.Equal(t, got, sanitize.Line(got))
	})
}
