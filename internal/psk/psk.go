// Package psk makes and checks the tokens of Clair's pre-shared-key
// authentication: compact JSON Web Tokens signed with HMAC by a shared key. It
// also reads files that hold secrets. A Key never prints its bytes, so that no
// log can contain one.
package psk

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"oriel/clair"
)

// The issuers of Clair's own services.
const (
	// IntraService is the issuer that Clair's services use among themselves.
	// It is accepted without being listed.
	IntraService = "clair-intraservice"
	// Notifier is the issuer that signs the requests to webhooks.
	Notifier = "clair-notifier"
)

const (
	// leeway is the allowed difference between clocks when a token is checked,
	// as in Clair.
	leeway = 15 * time.Second
	// skew is how long before its creation a token is valid, for the same
	// reason.
	skew = time.Minute
	// maxSecret bounds the file of a secret, in bytes.
	maxSecret = 64 << 10
)

// Key is a shared key.
type Key struct{ bytes []byte }

// ParseKey reads a key in base64. The error is an ErrInvalid that does not
// quote the key; the caller adds the name of the field.
func ParseKey(text string) (Key, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil || len(key) == 0 {
		return Key{}, fmt.Errorf("%w: is not base64", clair.ErrInvalid)
	}
	return Key{key}, nil
}

// IsZero reports whether there is no key.
func (k Key) IsZero() bool { return len(k.bytes) == 0 }

// String hides the key.
func (k Key) String() string { return "(a key)" }

// GoString hides the key.
func (k Key) GoString() string { return k.String() }

// Sign makes a token as Clair's services and clients make them: HS256, with
// iat now, nbf a minute before and exp after the given life. Clair's own life
// is a minute.
func (k Key) Sign(issuer string, now time.Time, life time.Duration) (string, error) {
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.RegisteredClaims{
		Issuer: issuer, IssuedAt: jwt.NewNumericDate(now),
		NotBefore: jwt.NewNumericDate(now.Add(-skew)), ExpiresAt: jwt.NewNumericDate(now.Add(life)),
	}).SignedString(k.bytes)
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	return token, nil
}

// SignWebhook makes the token of a request to a webhook, by which its receiver
// authenticates it. It is valid for a minute.
func (k Key) SignWebhook(now time.Time) (string, error) {
	return k.Sign(Notifier, now, time.Minute)
}

// errIssuer is the error for a valid token of an unknown issuer.
var errIssuer = errors.New("the issuer is not one that is accepted")

// Verify checks a token: its HMAC, its times if it has any, and that it is from
// one of the issuers. A token without exp does not expire, as in Clair. The
// error does not quote the token.
func (k Key) Verify(token string, now time.Time, issuers []string) error {
	var claims jwt.RegisteredClaims
	_, err := jwt.ParseWithClaims(token, &claims, func(*jwt.Token) (any, error) { return k.bytes, nil },
		jwt.WithValidMethods([]string{"HS256", "HS384", "HS512"}), jwt.WithLeeway(leeway), jwt.WithIssuedAt(),
		jwt.WithTimeFunc(func() time.Time { return now }))
	switch {
	case err != nil:
		return fmt.Errorf("check a token: %w", err)
	case !slices.Contains(issuers, claims.Issuer):
		return errIssuer
	}
	return nil
}

// ReadFile returns the content of a file without white space around it. The
// error is an ErrInvalid if the file is empty.
func ReadFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("read a secret: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return "", fmt.Errorf("read a secret: %w", err)
	}
	text := strings.TrimSpace(string(b))
	switch {
	case len(b) > maxSecret:
		return "", fmt.Errorf("read a secret: %s: %w: over %d bytes", path, clair.ErrTooLarge, maxSecret)
	case text == "":
		return "", fmt.Errorf("read a secret: %s: %w: the file is empty", path, clair.ErrInvalid)
	}
	return text, nil
}
