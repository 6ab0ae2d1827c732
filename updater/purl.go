package updater

import (
	"net/url"
	"strings"
)

// purl is a package URL taken apart.
type purl struct {
	kind, namespace, name, version string
	qualifiers                     url.Values
}

// parsePURL reads a package URL. ok is false for what is none.
func parsePURL(s string) (p purl, ok bool) {
	rest, ok := strings.CutPrefix(s, "pkg:")
	if !ok {
		return purl{}, false
	}
	rest, _, _ = strings.Cut(rest, "#")
	rest, query, _ := strings.Cut(rest, "?")
	if query != "" {
		// Package URLs leave "+" as it is, which a query would make a space.
		q, err := url.ParseQuery(strings.ReplaceAll(query, "+", "%2B"))
		if err != nil {
			return purl{}, false
		}
		p.qualifiers = q
	}
	rest = strings.TrimLeft(rest, "/")
	if i := strings.LastIndexByte(rest, '@'); i > 0 && i > strings.LastIndexByte(rest, '/') {
		rest, p.version = rest[:i], rest[i+1:]
	}
	p.kind, rest, ok = strings.Cut(rest, "/")
	if i := strings.LastIndexByte(rest, '/'); i >= 0 {
		p.namespace, rest = rest[:i], rest[i+1:]
	}
	p.name = rest
	for _, part := range []*string{&p.namespace, &p.name, &p.version} {
		plain, err := url.PathUnescape(*part)
		if err != nil {
			return purl{}, false
		}
		*part = plain
	}
	return p, ok && p.name != ""
}
