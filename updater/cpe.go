package updater

import (
	"net/url"
	"strings"
)

// formatCPE gives a CPE as a formatted string of version 2.3, from that form
// or from the URI form that vendors write. ok is false for anything else.
func formatCPE(s string) (formatted string, ok bool) {
	if strings.HasPrefix(s, "cpe:2.3:") {
		if strings.Count(s, ":") < 12 {
			return "", false
		}
		return s, true
	}
	rest, ok := strings.CutPrefix(s, "cpe:/")
	parts := strings.Split(rest, ":")
	if !ok || len(parts) > 7 || len(parts[0]) != 1 || !strings.Contains("aoh", parts[0]) {
		return "", false
	}
	var out [11]string
	copy(out[:], parts)
	if packed := strings.Split(out[5], "~"); len(packed) == 6 {
		// edition~software~target software~target hardware~other, packed.
		out[5], out[7], out[8], out[9], out[10] = packed[1], packed[2], packed[3], packed[4], packed[5]
	}
	for i, p := range out {
		if out[i], ok = formatCPEPart(p); !ok {
			return "", false
		}
	}
	return "cpe:2.3:" + strings.Join(out[:], ":"), true
}

// formatCPEPart quotes one component as NISTIR 7695 says. Red Hat writes
// wildcards as they are, which the URI form has as %01 and %02.
func formatCPEPart(s string) (string, bool) {
	switch s {
	case "", "*":
		return "*", true
	case "-":
		return "-", true
	}
	s = strings.NewReplacer("%01", "?", "%02", "*").Replace(s)
	s, err := url.PathUnescape(s)
	if err != nil {
		return "", false
	}
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		switch {
		case c <= ' ' || c > '~':
			return "", false
		case !letter && strings.IndexByte("_-.?*", c) < 0:
			b.WriteByte('\\')
		}
		b.WriteByte(c)
	}
	return b.String(), true
}
