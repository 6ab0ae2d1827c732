package server

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"oriel/clair"
	"oriel/internal/psk"
	"oriel/internal/quantity"
)

// AuthConfig is the [auth] table. Without a key or token everyone who reaches
// the server may do everything.
type AuthConfig struct {
	// PSK is the key that Clair's clients sign their tokens with, in base64;
	// or PSKFile names a file with it.
	PSK     string `toml:"psk"`
	PSKFile string `toml:"psk_file"`
	// Issuers of such tokens that are accepted, beside Clair's own services.
	Issuers []string `toml:"issuers"`
	// Insecure allows to listen beyond loopback without any of this.
	Insecure bool `toml:"insecure"`
	// Tokens are those that clients send as they are.
	Tokens []TokenConfig `toml:"token"`
}

// TokenConfig is an [[auth.token]] table.
type TokenConfig struct {
	// Name is what the log calls the client.
	Name string `toml:"name"`
	// Token is what the client sends; or TokenFile names a file with it.
	Token     string `toml:"token"`
	TokenFile string `toml:"token_file"`
	// Role is "read", "scan" or "admin".
	Role string `toml:"role"`
}

// DefaultAuth is no authentication.
func DefaultAuth() AuthConfig { return AuthConfig{Issuers: []string{}} }

// Enabled says whether clients must say who they are.
func (c AuthConfig) Enabled() bool { return c.PSK != "" || c.PSKFile != "" || len(c.Tokens) > 0 }

// Resolve makes relative files relative to a directory.
func (c *AuthConfig) Resolve(base string) {
	resolve(base, &c.PSKFile)
	for i := range c.Tokens {
		resolve(base, &c.Tokens[i].TokenFile)
	}
}

// minToken is what a token is long at the least, in bytes: less can be
// guessed.
const minToken = 16

// Validate names each impossible value. It reads no file and never repeats a
// secret.
func (c AuthConfig) Validate() error {
	var errs []error
	if c.PSK != "" && c.PSKFile != "" {
		errs = append(errs, clair.Invalid("auth.psk", "only one of psk and psk_file may be set"))
	}
	if c.PSK != "" {
		if _, err := psk.ParseKey(c.PSK); err != nil {
			errs = append(errs, clair.Invalid("auth.psk", "is not base64"))
		}
	}
	for i, issuer := range c.Issuers {
		if issuer == "" {
			errs = append(errs, clair.Invalid(fmt.Sprintf("auth.issuers[%d]", i), "must not be empty"))
		}
	}
	names := map[string]bool{}
	for i, t := range c.Tokens {
		at := fmt.Sprintf("auth.token[%d]", i)
		errs = append(errs, t.validate(at))
		if names[t.Name] {
			errs = append(errs, clair.Invalid(at+".name", "%q is the name of another token", t.Name))
		}
		names[t.Name] = true
	}
	return errors.Join(errs...)
}

func (t TokenConfig) validate(at string) error {
	_, known := roles[t.Role]
	switch {
	case t.Name == "":
		return clair.Invalid(at+".name", "must not be empty")
	case !known:
		return clair.Invalid(at+".role", "%q is none of read, scan and admin", t.Role)
	case (t.Token == "") == (t.TokenFile == ""):
		return clair.Invalid(at+".token", "one of token and token_file must be set, and not both")
	case t.Token != "" && len(t.Token) < minToken:
		return clair.Invalid(at+".token", "must be at least %d bytes long", minToken)
	}
	return nil
}

// TLSConfig is the [tls] table. Both files are PEM, and both or neither are
// named.
type TLSConfig struct {
	Cert string `toml:"cert"`
	Key  string `toml:"key"`
}

// Enabled says whether the server speaks TLS.
func (c TLSConfig) Enabled() bool { return c.Cert != "" }

// Resolve makes relative files relative to a directory.
func (c *TLSConfig) Resolve(base string) {
	resolve(base, &c.Cert)
	resolve(base, &c.Key)
}

// Validate checks the configuration without touching the files.
func (c TLSConfig) Validate() error {
	if (c.Cert == "") != (c.Key == "") {
		return clair.Invalid("tls.cert", "cert and key go together")
	}
	return nil
}

func resolve(base string, path *string) {
	if *path != "" && !filepath.IsAbs(*path) {
		*path = filepath.Join(base, *path)
	}
}

// Limits is the [limits] table: what strangers can ask of the server at the
// most.
type Limits struct {
	// Rate is how many requests a second one client may make over time, and
	// Burst how many at once. A client is an address, or an IPv6 network of
	// 64 bits; loopback is not limited, since it stands for programs of this
	// machine and for all clients of a proxy. 0: no limit.
	Rate  int `toml:"rate"`
	Burst int `toml:"burst"`
	// Connections is how many may be open at once; others wait for their
	// turn. 0: as many as the caller's memory allows, or any number where it
	// does not say.
	Connections int `toml:"connections"`
	// Body bounds an index report, an SBOM and what is looked up of
	// vulnerabilities.
	Body quantity.Bytes `toml:"body"`
	// Headers bounds the headers of a request.
	Headers quantity.Bytes `toml:"headers"`
	// ReadTimeout bounds reading a request and WriteTimeout answering it.
	ReadTimeout  quantity.Duration `toml:"read_timeout"`
	WriteTimeout quantity.Duration `toml:"write_timeout"`
}

// DefaultLimits are the limits where the file says nothing.
func DefaultLimits() Limits {
	return Limits{
		Rate: 200, Burst: 400, Body: 16 << 20, Headers: 64 << 10,
		ReadTimeout: quantity.Duration(5 * time.Minute), WriteTimeout: quantity.Duration(15 * time.Minute),
	}
}

const (
	// minHeaders and minBody are what ordinary requests take.
	minHeaders = 4 << 10
	minBody    = 64 << 10
	// maxConnections is beyond what the memory of any limit would bear.
	maxConnections = 1 << 20
)

// Validate names each impossible value.
func (l Limits) Validate() error {
	var errs []error
	if l.Rate < 0 {
		errs = append(errs, clair.Invalid("limits.rate", "%d: must not be negative", l.Rate))
	}
	if l.Rate > 0 && l.Burst < 1 {
		errs = append(errs, clair.Invalid("limits.burst", "%d: must be at least 1", l.Burst))
	}
	if l.Connections < 0 || l.Connections > maxConnections {
		errs = append(errs, clair.Invalid("limits.connections", "%d: must be between 0 and %d", l.Connections, maxConnections))
	}
	if l.Body < minBody {
		errs = append(errs, clair.Invalid("limits.body", "%v: must be at least %v", l.Body, quantity.Bytes(minBody)))
	}
	if l.Headers < minHeaders {
		errs = append(errs, clair.Invalid("limits.headers", "%v: must be at least %v", l.Headers, quantity.Bytes(minHeaders)))
	}
	if l.ReadTimeout <= 0 {
		errs = append(errs, clair.Invalid("limits.read_timeout", "%v: must be more than 0s", l.ReadTimeout))
	}
	if l.WriteTimeout <= 0 {
		errs = append(errs, clair.Invalid("limits.write_timeout", "%v: must be more than 0s", l.WriteTimeout))
	}
	return errors.Join(errs...)
}
