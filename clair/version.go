package clair

import (
	"strconv"
	"strings"
)

// NormalizedVersion is Clair's version of ten numbers, of which the first is
// the epoch. It orders releases, not pre-releases, so Oriel compares original
// versions wherever it has them and keeps this form for the wire.
type NormalizedVersion struct {
	// Kind names the ordering, such as "semver" or "pep440".
	Kind string
	V    [10]int32
}

// String returns KIND:N.N.N.N.N.N.N.N.N.N, or "" for the zero value.
func (n NormalizedVersion) String() string {
	if n.Kind == "" {
		return ""
	}
	b := append([]byte(n.Kind), ':')
	for i, v := range n.V {
		if i > 0 {
			b = append(b, '.')
		}
		b = strconv.AppendInt(b, int64(v), 10)
	}
	return string(b)
}

// ParseNormalizedVersion reads the string form; "" is the zero value. The
// error is an ErrInvalid.
func ParseNormalizedVersion(s string) (NormalizedVersion, error) {
	var n NormalizedVersion
	if s == "" {
		return n, nil
	}
	kind, list, ok := strings.Cut(s, ":")
	parts := strings.Split(list, ".")
	if !ok || kind == "" || len(parts) != len(n.V) {
		return n, Invalid("normalized_version", "%.60q is not KIND: and ten numbers", s)
	}
	for i, p := range parts {
		v, err := strconv.ParseInt(p, 10, 32)
		if err != nil {
			return NormalizedVersion{}, Invalid("normalized_version", "%.60q: %.20q is not a 32-bit number", s, p)
		}
		n.V[i] = int32(v)
	}
	n.Kind = kind
	return n, nil
}

// Compare orders two versions of one kind by their numbers.
func (n NormalizedVersion) Compare(o NormalizedVersion) int {
	for i, v := range n.V {
		if v != o.V[i] {
			if v < o.V[i] {
				return -1
			}
			return 1
		}
	}
	return 0
}
