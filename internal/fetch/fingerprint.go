package fetch

import (
	"net/url"

	"oriel/clair"
)

// validators are what a fingerprint holds: how a server names a state of its
// file, and the checksum of the content, which needs no server's word.
type validators struct {
	etag, modified, sha256 string
}

// parseFingerprint reads a fingerprint; one that is not of this package is
// none, so that the file is fetched whole.
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
