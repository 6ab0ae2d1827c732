package fetch

import (
	"net/url"

	"oriel/clair"
)

// validators are the parts of a fingerprint: the server's names for a state of
// its file, and the checksum of the content, which does not depend on the
// server.
type validators struct {
	etag, modified, sha256 string
}

// parseFingerprint reads a fingerprint. If it is not one of this package, the
// result is empty, so that the file is fetched.
func parseFingerprint(fp clair.Fingerprint) validators {
	v, err := url.ParseQuery(string(fp))
	if err != nil {
		return validators{}
	}
	return validators{etag: v.Get("etag"), modified: v.Get("modified"), sha256: v.Get("sha256")}
}

func (v validators) fingerprint() clair.Fingerprint {
	q := url.Values{}
	for key, val := range map[string]string{"etag": v.etag, "modified": v.modified, "sha256": v.sha256} {
		if val != "" {
			q.Set(key, val)
		}
	}
	return clair.Fingerprint(q.Encode())
}
