package mirror

import (
	"cmp"
	"net/http"
	"time"

	"oriel/clair"
	"oriel/internal/feed"
	"oriel/internal/psk"
)

// The keys by which a feed authenticates to a server: with a shared key, as
// Clair's clients do, or with a token.
const (
	pskOption       = "psk"
	pskFileOption   = "psk_file"
	issuerOption    = "issuer"
	tokenFileOption = "token_file"
)

func authOptions() []feed.Option {
	return []feed.Option{feed.TextOption(pskOption), feed.FileOption(pskFileOption), feed.TextOption(issuerOption), feed.FileOption(tokenFileOption)}
}

// remoteAuth authorizes requests. Files are read for each one, so that their
// contents may change.
type remoteAuth struct {
	psk, pskFile, tokenFile string
	issuer                  string
}

func newRemoteAuth(f feed.Feed) (remoteAuth, error) {
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
		if _, err := psk.ParseKey(a.psk); err != nil {
			return a, clair.Invalid(pskOption, "is not base64")
		}
	}
	return a, nil
}

// tokenLife is how long a download with all its retries may use a token.
const tokenLife = 10 * time.Minute

// authorize adds the authentication of a request, if any.
func (a remoteAuth) authorize(h http.Header) error {
	var token string
	var err error
	switch {
	case a.tokenFile != "":
		token, err = psk.ReadFile(a.tokenFile)
	case a.pskFile != "":
		var text string
		if text, err = psk.ReadFile(a.pskFile); err == nil {
			token, err = a.sign(text)
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

// sign returns a token as Clair's clients make them.
func (a remoteAuth) sign(text string) (string, error) {
	key, err := psk.ParseKey(text)
	if err != nil {
		return "", clair.Invalid(pskOption, "is not base64")
	}
	return key.Sign(a.issuer, time.Now(), tokenLife)
}
