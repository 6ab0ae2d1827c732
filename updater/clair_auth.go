package updater

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"oriel/clair"
	"oriel/fetch"
)

// The keys of how a feed makes itself known to a server: with a key that both
// share, as Clair's clients do, or with a token.
const (
	pskOption       = "psk"
	pskFileOption   = "psk_file"
	issuerOption    = "issuer"
	tokenFileOption = "token_file"
)

func authOptions() []Option {
	return []Option{TextOption(pskOption), FileOption(pskFileOption), TextOption(issuerOption), FileOption(tokenFileOption)}
}

// remoteAuth authorizes requests. Files are read for each one, so that what is
// in them may change.
type remoteAuth struct {
	psk, pskFile, tokenFile string
	issuer                  string
}

func newRemoteAuth(f Feed) (remoteAuth, error) {
	a := remoteAuth{
		psk: f.Text(pskOption), pskFile: f.Text(pskFileOption), tokenFile: f.Text(tokenFileOption),
		issuer: cmp.Or(f.Text(issuerOption), "oriel"),
	}
	set := 0
	for _, s := range []string{a.psk, a.pskFile, a.tokenFile} {
		if s != "" {
			set++
		}
	}
	if set > 1 {
		return a, clair.Invalid(pskOption, "only one of %s, %s and %s may be set", pskOption, pskFileOption, tokenFileOption)
	}
	if a.psk != "" {
		if _, err := pskOf(a.psk); err != nil {
			return a, err
		}
	}
	return a, nil
}

// pskOf decodes a key. What is wrong with it does not repeat it.
func pskOf(text string) ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil || len(key) == 0 {
		return nil, clair.Invalid(pskOption, "is not base64")
	}
	return key, nil
}

// maxSecret bounds the file of a key or token.
const maxSecret = 64 << 10

func readSecret(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("read a secret: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(fetch.Limit(f, maxSecret))
	if err != nil {
		return "", fmt.Errorf("read a secret: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}

// The times of a token: what clocks may differ by, and how long a download
// with all its retries may use it.
const (
	tokenSkew = time.Minute
	tokenLife = 10 * time.Minute
)

// authorize adds what the server wants to see, if anything.
func (a remoteAuth) authorize(h http.Header) error {
	var token string
	var err error
	switch {
	case a.tokenFile != "":
		token, err = readSecret(a.tokenFile)
	case a.pskFile != "":
		var psk string
		if psk, err = readSecret(a.pskFile); err == nil {
			token, err = a.sign(psk)
		}
	case a.psk != "":
		token, err = a.sign(a.psk)
	default:
		return nil
	}
	if err != nil {
		return err
	}
	h.Set("Authorization", "Bearer "+token)
	return nil
}

// sign makes a token as Clair's clients make them.
func (a remoteAuth) sign(psk string) (string, error) {
	key, err := pskOf(psk)
	if err != nil {
		return "", err
	}
	now := time.Now()
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.RegisteredClaims{
		Issuer: a.issuer, IssuedAt: jwt.NewNumericDate(now),
		NotBefore: jwt.NewNumericDate(now.Add(-tokenSkew)), ExpiresAt: jwt.NewNumericDate(now.Add(tokenLife)),
	}).SignedString(key)
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	return token, nil
}
