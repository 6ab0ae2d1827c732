package server

import (
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"oriel/clair"
)

// accepted is one member of an Accept header.
type accepted struct {
	typ, sub string
	q        float64
}

// negotiate returns the offered media type that a request prefers; the first is
// the default. If the Accept header cannot be parsed, the error wraps
// clair.ErrInvalid; if it accepts none of the types, the status is 415, as in
// Clair.
func negotiate(r *http.Request, offered ...string) (string, error) {
	header := strings.Join(r.Header.Values("Accept"), ",")
	if strings.TrimSpace(header) == "" {
		return offered[0], nil
	}
	list, err := parseAccept(header)
	if err != nil {
		return "", err
	}
	for _, a := range list {
		for _, o := range offered {
			typ, sub, _ := strings.Cut(o, "/")
			if a.q > 0 && (a.typ == "*" || a.typ == typ) && (a.sub == "*" || a.sub == sub) {
				return o, nil
			}
		}
	}
	return "", &statusError{status: http.StatusUnsupportedMediaType, message: "available media types: " + strings.Join(offered, ", ")}
}

// parseAccept returns the members of an Accept header, most preferred first.
func parseAccept(header string) ([]accepted, error) {
	var list []accepted
	for part := range strings.SplitSeq(header, ",") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		media, params, err := mime.ParseMediaType(part)
		typ, sub, ok := strings.Cut(media, "/")
		if err != nil || !ok {
			return nil, clair.Invalid("Accept", "%.80q is not a media type", part)
		}
		a := accepted{typ, sub, 1}
		if q, ok := params["q"]; ok {
			if a.q, err = strconv.ParseFloat(q, 64); err != nil || a.q < 0 || a.q > 1 {
				return nil, clair.Invalid("Accept", "%.20q is not a weight from 0 to 1", q)
			}
		}
		list = append(list, a)
	}
	slices.SortStableFunc(list, func(a, b accepted) int {
		switch {
		case a.q > b.q:
			return -1
		case a.q < b.q:
			return 1
		}
		return 0
	})
	return list, nil
}

// quoted returns an entity tag in the form used in headers.
func quoted(tag string) string { return `"` + tag + `"` }

// hasTag reports whether a request's If-None-Match matches a tag (RFC 9110,
// section 13.1.2): by weak comparison, in any of its lists, or as "*".
func hasTag(r *http.Request, tag string) bool {
	for _, line := range r.Header.Values("If-None-Match") {
		for part := range strings.SplitSeq(line, ",") {
			part = strings.TrimSpace(part)
			if part == "*" || strings.TrimPrefix(part, "W/") == quoted(tag) {
				return true
			}
		}
	}
	return false
}
