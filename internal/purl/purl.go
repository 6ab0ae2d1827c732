// Package purl parses package URLs (github.com/package-url/purl-spec). Names
// keep their case, which the specification lowers for some types.
package purl

import (
	"fmt"
	"net/url"
	"strings"

	"oriel/clair"
)

// PURL is a parsed package URL.
type PURL struct {
	Type, Namespace, Name, Version string
	Qualifiers                     url.Values
	Subpath                        string
}

// Parse parses a package URL. The error is an ErrInvalid.
func Parse(s string) (PURL, error) {
	rest, ok := strings.CutPrefix(s, "pkg:")
	if !ok {
		return PURL{}, bad(s)
	}
	var p PURL
	rest, subpath, _ := strings.Cut(rest, "#")
	rest, query, _ := strings.Cut(rest, "?")
	p.Subpath = strings.Trim(subpath, "/")
	// A "+" stands for itself in a package URL, and for a space in a query.
	q, err := url.ParseQuery(strings.ReplaceAll(query, "+", "%2B"))
	if err != nil {
		return PURL{}, bad(s)
	}
	p.Qualifiers = lowerKeys(q)
	rest = strings.TrimLeft(rest, "/")
	if i := strings.LastIndexByte(rest, '@'); i > strings.LastIndexByte(rest, '/')+1 {
		rest, p.Version = rest[:i], rest[i+1:]
	}
	p.Type, rest, _ = strings.Cut(rest, "/")
	p.Type = strings.ToLower(p.Type)
	rest = strings.Trim(rest, "/")
	if i := strings.LastIndexByte(rest, '/'); i >= 0 {
		p.Namespace, rest = rest[:i], rest[i+1:]
	}
	p.Name = rest
	for _, part := range []*string{&p.Namespace, &p.Name, &p.Version, &p.Subpath} {
		if *part, err = url.PathUnescape(*part); err != nil {
			return PURL{}, bad(s)
		}
	}
	if p.Name == "" {
		return PURL{}, bad(s)
	}
	return p, nil
}

func bad(s string) error { return fmt.Errorf("%w: %.100q is not a package URL", clair.ErrInvalid, s) }

// lowerKeys returns qualifiers with the keys in lower case, in which the
// specification wants them; their case does not matter to readers.
func lowerKeys(q url.Values) url.Values {
	for key, values := range q {
		if lower := strings.ToLower(key); lower != key {
			delete(q, key)
			q[lower] = append(q[lower], values...)
		}
	}
	return q
}
