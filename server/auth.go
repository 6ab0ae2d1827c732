package server

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"oriel/clair"
	"oriel/internal/psk"
)

// role is a level of permission. Each includes those before it.
type role int

const (
	// roleOpen permits what needs no authentication.
	roleOpen role = iota
	// roleRead permits reading.
	roleRead
	// roleScan permits adding manifests, SBOMs and sessions.
	roleScan
	// roleAdmin permits deleting and running feeds.
	roleAdmin
)

// roles maps the names in the configuration to roles.
var roles = map[string]role{"read": roleRead, "scan": roleScan, "admin": roleAdmin}

// Auth authenticates requests. Its methods, except NewToken, are safe for
// concurrent use.
type Auth struct {
	key     psk.Key
	issuers []string
	tokens  []staticToken
	now     func() time.Time
}

// staticToken is a token that a client sends literally. Only its hash is kept,
// so that comparisons take the same time for all tokens.
type staticToken struct {
	name string
	sum  [sha256.Size]byte
	role role
}

// NewAuth returns the authentication of a configuration, having read its files;
// nil if none is configured. now is the clock; nil means time.Now.
func NewAuth(c AuthConfig, now func() time.Time) (*Auth, error) {
	if !c.Enabled() {
		return nil, nil
	}
	key, err := c.Key()
	if err != nil {
		return nil, err
	}
	if now == nil {
		now = time.Now
	}
	a := &Auth{key: key, issuers: append(slices.Clone(c.Issuers), psk.IntraService), now: now}
	for i, t := range c.Tokens {
		at := fmt.Sprintf("auth.token[%d]", i)
		text := t.Token
		if t.TokenFile != "" {
			if text, err = psk.ReadFile(t.TokenFile); err != nil {
				return nil, fmt.Errorf("%s.token_file: %w", at, err)
			}
			if len(text) < minToken {
				return nil, clair.Invalid(at+".token_file", "the token must be at least %d bytes long", minToken)
			}
		}
		sum := sha256.Sum256([]byte(text))
		for _, other := range a.tokens {
			if other.sum == sum {
				return nil, clair.Invalid(at+".token", "same token as %q", other.name)
			}
		}
		a.tokens = append(a.tokens, staticToken{t.Name, sum, roles[t.Role]})
	}
	return a, nil
}

// NewToken adds an admin token that is valid until the process ends, and returns
// it. It is for commands on the same machine, which prove their permission in
// another way, such as by reading a file. It returns "" if a is nil. It must be
// called before the server runs.
func (a *Auth) NewToken(name string) string {
	if a == nil {
		return ""
	}
	text := rand.Text()
	a.tokens = append(a.tokens, staticToken{name, sha256.Sum256([]byte(text)), roleAdmin})
	return text
}

// Key returns the pre-shared key, read from its file if one is configured; zero
// if there is no key. The error names the key of the configuration.
func (c AuthConfig) Key() (psk.Key, error) {
	text, field := c.PSK, "auth.psk"
	if c.PSKFile != "" {
		var err error
		field = "auth.psk_file"
		if text, err = psk.ReadFile(c.PSKFile); err != nil {
			return psk.Key{}, fmt.Errorf("%s: %w", field, err)
		}
	}
	if text == "" {
		return psk.Key{}, nil
	}
	key, err := psk.ParseKey(text)
	if err != nil {
		return psk.Key{}, clair.Invalid(field, "is not base64")
	}
	return key, nil
}

var (
	errNoToken  = errors.New("no bearer token")
	errBadToken = errors.New("unknown token")
)

// identify returns the sender of a request and its role.
func (a *Auth) identify(h http.Header) (who string, may role, err error) {
	// The scheme is case-sensitive, as in Clair.
	text, ok := strings.CutPrefix(h.Get(echo.HeaderAuthorization), "Bearer ")
	if !ok {
		return "", roleOpen, errNoToken
	}
	sum := sha256.Sum256([]byte(text))
	for _, t := range a.tokens {
		// Compare all, so that the time does not reveal which one matched.
		if subtle.ConstantTimeCompare(t.sum[:], sum[:]) == 1 {
			who, may = t.name, t.role
		}
	}
	if who != "" {
		return who, may, nil
	}
	if a.key.IsZero() {
		return "", roleOpen, errBadToken
	}
	if err := a.key.Verify(text, a.now(), a.issuers); err != nil {
		return "", roleOpen, err
	}
	return "psk", roleAdmin, nil
}

// authorize refuses requests that their sender may not make: with a 401 without
// body, as Clair does, if the sender is unknown, and with a 403 if its role is
// insufficient.
func (s *Server) authorize(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		want := s.requiredRole(c)
		if s.Auth == nil || want == roleOpen {
			return next(c)
		}
		ctx := c.Request().Context()
		who, may, err := s.Auth.identify(c.Request().Header)
		if err != nil {
			reason := refusedInvalid
			if errors.Is(err, errNoToken) {
				reason = refusedMissing
			}
			s.metrics.refused.WithLabelValues(reason).Inc()
			s.Log.DebugContext(ctx, "request refused", "path", c.Request().URL.Path, "client", c.RealIP(), "err", err)
			return c.NoContent(http.StatusUnauthorized)
		}
		if may < want {
			s.metrics.refused.WithLabelValues(refusedRole).Inc()
			s.Log.InfoContext(ctx, "request refused", "path", c.Request().URL.Path, "client", c.RealIP(), "token", who, "err", "insufficient role")
			return &statusError{status: http.StatusForbidden, message: "the role of this token does not permit this request"}
		}
		return next(c)
	}
}

// requiredRole returns the role that a request needs. Paths without a route
// need one too, so that unauthenticated clients cannot probe for routes.
func (s *Server) requiredRole(c echo.Context) role {
	if c.Path() == "/" && asksForPage(c.Request()) {
		return roleRead // other requests for it are those of scanners
	}
	if r, ok := s.roles[c.Request().Method+" "+c.Path()]; ok {
		return r
	}
	if s.openPaths[c.Path()] {
		return roleOpen
	}
	return roleRead
}

// crossOrigin refuses requests by which a page of another origin, open in a
// browser that can reach this server, would change something.
func (s *Server) crossOrigin() echo.MiddlewareFunc {
	p := http.NewCrossOriginProtection()
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			if err := p.Check(c.Request()); err != nil {
				return &statusError{status: http.StatusForbidden, message: "cross-origin request"}
			}
			return next(c)
		}
	}
}
