package clair

import (
	"encoding/json"
	"strings"
)

// Digest is a content digest in canonical form: "sha256:" and 64 hexadecimal
// digits or "sha512:" and 128, all lower case. The zero value means that there is no digest.
type Digest string

// ParseDigest reads a digest, accepting upper-case hexadecimal and
// normalising it. The error is an ErrInvalid.
func ParseDigest(s string) (Digest, error) {
	algorithm, sum, ok := strings.Cut(s, ":")
	want := 0
	switch algorithm {
	case "sha256":
		want = 64
	case "sha512":
		want = 128
	}
	switch {
	case !ok || want == 0:
		return "", Invalid("digest", "%.40q is not sha256:HEX or sha512:HEX", s)
	case len(sum) != want:
		return "", Invalid("digest", "%s wants %d hexadecimal digits, got %d", algorithm, want, len(sum))
	}
	for i := range len(sum) {
		c := sum[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
			return "", Invalid("digest", "%q is not hexadecimal", c)
		}
	}
	return Digest(algorithm + ":" + strings.ToLower(sum)), nil
}

// UnmarshalJSON reads a digest strictly; an empty string or null is the zero
// value.
func (d *Digest) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	if s == "" {
		*d = ""
		return nil
	}
	parsed, err := ParseDigest(s)
	if err != nil {
		return err
	}
	*d = parsed
	return nil
}
