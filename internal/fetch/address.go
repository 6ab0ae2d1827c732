package fetch

import (
	"net/url"
	"path/filepath"
	"strings"

	"oriel/clair"
)

// Local reports whether an address names a local file or directory, and
// returns its path: "file:" URLs with and without slashes, and plain paths. If
// the scheme is not supported, the error is an ErrInvalid.
func Local(address string) (path string, ok bool, err error) {
	scheme, rest, found := strings.Cut(address, ":")
	switch {
	case address == "":
		return "", false, clair.Invalid("url", "must not be empty")
	case found && (strings.EqualFold(scheme, "http") || strings.EqualFold(scheme, "https")):
		return "", false, nil
	case found && strings.EqualFold(scheme, "file"):
		path, err = filePath(rest)
		return path, true, err
	case found && strings.HasPrefix(rest, "//"):
		return "", false, clair.Invalid("url", "scheme %.20q is not one of https, http and file", scheme)
	}
	return address, true, nil
}

// filePath returns the path after "file:".
func filePath(rest string) (string, error) {
	if after, ok := strings.CutPrefix(rest, "//"); ok {
		host, path, _ := strings.Cut(after, "/")
		if host != "" && host != "localhost" {
			return "", clair.Invalid("url", "a file: URL names this machine's files; write file:///PATH or file:PATH")
		}
		rest = "/" + path
	}
	path, err := url.PathUnescape(rest)
	if err != nil || path == "" || path == "/" {
		return "", clair.Invalid("url", "%.80q is not a path", rest)
	}
	return filepath.FromSlash(path), nil
}

// Mask returns an address that may be shown: without user and password, and
// without the values of its query, any of which may be a token.
func Mask(address string) string {
	if path, ok, err := Local(address); ok && err == nil {
		return path
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return "(an address that cannot be read)"
	}
	return maskURL(u)
}

func maskURL(u *url.URL) string {
	m := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
	if u.User != nil {
		m.User = url.User("xxx")
	}
	for i, pair := range strings.Split(u.RawQuery, "&") {
		key, val, ok := strings.Cut(pair, "=")
		if pair == "" {
			continue
		}
		if i > 0 {
			m.RawQuery += "&"
		}
		if !ok {
			key, val = "xxx", "" // a lone word may be the token itself
		}
		m.RawQuery += key
		if val != "" {
			m.RawQuery += "=xxx"
		}
	}
	return m.String()
}
