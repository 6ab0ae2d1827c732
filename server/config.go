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

// AuthConfig is the [auth] table. Without a key or token there is no
// authentication: every client has the role "admin".
type AuthConfig struct {
	// PSK is the base64 key with which Clair's clients sign their tokens.
	// PSKFile names a file that holds it.
	PSK     string `toml:"psk"`
	PSKFile string `toml:"psk_file"`
	// Issuers are accepted issuers of such tokens, in addition to Clair's own
	// services.
	Issuers []string `toml:"issuers"`
	// Insecure permits listening beyond loopback without authentication.
	Insecure bool `toml:"insecure"`
	// Tokens are static tokens, which clients send literally.
	Tokens []TokenConfig `toml:"token"`
}

// TokenConfig is an [[auth.token]] table.
type TokenConfig struct {
	// Name is the name of the client in the log.
	Name string `toml:"name"`
	// Token is the token. TokenFile names a file that holds it.
	Token     string `toml:"token"`
	TokenFile string `toml:"token_file"`
	// Role is "read", "scan" or "admin".
	Role string `toml:"role"`
}

// DefaultAuth returns the configuration that an empty table stands for: no
// authentication.
func DefaultAuth() AuthConfig { return AuthConfig{Issuers: []string{}} }

// Enabled reports whether requests are authenticated.
func (c AuthConfig) Enabled() bool { return c.PSK != "" || c.PSKFile != "" || len(c.Tokens) > 0 }

// Resolve makes relative files relative to a directory.
func (c *AuthConfig) Resolve(base string) {
	resolve(base, &c.PSKFile)
	for i := range c.Tokens {
		resolve(base, &c.Tokens[i].TokenFile)
	}
}

// minToken is the minimum length of a token in bytes; a shorter one could be
// guessed.
const minToken = 16

// Validate returns an error that names each invalid value. It reads no files and
// its errors contain no secrets.
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
			errs = append(errs, clair.Invalid(at+".name", "duplicate name %q", t.Name))
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
		return clair.Invalid(at+".role", "%q: must be read, scan or admin", t.Role)
	case (t.Token == "") == (t.TokenFile == ""):
		return clair.Invalid(at+".token", "exactly one of token and token_file must be set")
	case t.Token != "" && len(t.Token) < minToken:
		return clair.Invalid(at+".token", "must be at least %d bytes long", minToken)
	}
	return nil
}

// TLSConfig is the [tls] table: the names of two PEM files, or of neither.
type TLSConfig struct {
	Cert string `toml:"cert"`
	Key  string `toml:"key"`
}

// Enabled reports whether the server uses TLS.
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

// Limits is the [limits] table.
type Limits struct {
	// Rate is the number of requests per second that one client may make in
	// the long run, and Burst the number at once. A client is an IPv4 address
	// or an IPv6 /64 network. Loopback is not limited: it stands for programs
	// of this machine and for all clients of a proxy. 0 means no limit.
	Rate  int `toml:"rate"`
	Burst int `toml:"burst"`
	// Connections is the number of connections that may be open; others wait.
	// 0 means a number that follows from memory.limit.
	Connections int `toml:"connections"`
	// Body is the maximum size of an index report, an SBOM and the
	// vulnerabilities of a request for affected manifests.
	Body quantity.Bytes `toml:"body"`
	// Headers is the maximum size of the headers of a request.
	Headers quantity.Bytes `toml:"headers"`
	// ReadTimeout bounds the time for reading a request and WriteTimeout the
	// time for answering it.
	ReadTimeout  quantity.Duration `toml:"read_timeout"`
	WriteTimeout quantity.Duration `toml:"write_timeout"`
}

// DefaultLimits returns the limits that an empty table stands for.
func DefaultLimits() Limits {
	return Limits{
		Rate:         200,
		Burst:        400,
		Body:         16 << 20,
		Headers:      64 << 10,
		ReadTimeout:  quantity.Duration(5 * time.Minute),
		WriteTimeout: quantity.Duration(15 * time.Minute),
	}
}

const (
	// minHeaders and minBody are large enough for ordinary requests.
	minHeaders = 4 << 10
	minBody    = 64 << 10
	// maxConnections needs more memory than any realistic limit.
	maxConnections = 1 << 20
)

// Validate returns an error that names each invalid value.
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
