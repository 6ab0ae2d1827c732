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

// role is what a client may do. Each includes those before it.
type role int

const (
	// roleOpen is for everyone.
	roleOpen role = iota
	// roleRead is to look at what there is.
	roleRead
	// roleScan is to add manifests, SBOMs and sessions.
	roleScan
	// roleAdmin is to delete things and to have feeds run.
	roleAdmin
)

// roles are the roles by their names in the configuration.
var roles = map[string]role{"read": roleRead, "scan": roleScan, "admin": roleAdmin}

// Auth knows who may do what. Its methods may be called from many goroutines.
type Auth struct {
	key     psk.Key
	issuers []string
	tokens  []staticToken
	now     func() time.Time
}

// staticToken is a token that a client sends as it is; only its hash is kept,
// which makes all comparisons equally long.
type staticToken struct {
	name string
	sum  [sha256.Size]byte
	role role
}

// NewAuth reads the files that a configuration names. It gives nil where there
// is no authentication. now is the clock; nil means time.Now.
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
				return nil, clair.Invalid(at+".token", "is the token of %q, too", other.name)
			}
		}
		a.tokens = append(a.tokens, staticToken{t.Name, sum, roles[t.Role]})
	}
	return a, nil
}

// NewToken makes a token of an admin's that is good for as long as the process
// lives, for commands beside it that prove in some other way that they may do
// everything, as by reading a file. It is "" where no token is wanted. It is
// called before the server runs.
func (a *Auth) NewToken(name string) string {
	if a == nil {
		return ""
	}
	text := rand.Text()
	a.tokens = append(a.tokens, staticToken{name, sha256.Sum256([]byte(text)), roleAdmin})
	return text
}

// Key is the pre-shared key, read from its file where there is one. It is zero
// where there is none. The error names the key of the configuration.
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

// Why a request is not let in, as the metrics and the log name it.
var (
	errNoToken  = errors.New("there is no bearer token")
	errBadToken = errors.New("the token is not one that is known")
)

// identify says who sends a request and what they may do.
func (a *Auth) identify(h http.Header) (who string, may role, err error) {
	// Clair compares the scheme case by case.
	text, ok := strings.CutPrefix(h.Get(echo.HeaderAuthorization), "Bearer ")
	if !ok {
		return "", roleOpen, errNoToken
	}
	sum := sha256.Sum256([]byte(text))
	for _, t := range a.tokens {
		// To the end in any case, so that the time tells nothing.
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

// authorize lets those requests through whose sender may make them. Who is
// unknown gets a 401 without a body, as from Clair; who may not, a 403.
func (s *Server) authorize(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		want := s.wants(c)
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
			s.Log.InfoContext(ctx, "request refused", "path", c.Request().URL.Path, "client", c.RealIP(), "token", who, "err", "its role is too small")
			return &statusError{status: http.StatusForbidden, message: "the role of this token does not allow that"}
		}
		return next(c)
	}
}

// wants is the role that a request needs. What no route owns needs one too, so
// that strangers learn nothing of what there is.
func (s *Server) wants(c echo.Context) role {
	if c.Path() == "/" && asksForPage(c.Request()) {
		return roleRead // it is for scanners otherwise
	}
	if want, ok := s.wanted[c.Request().Method+" "+c.Path()]; ok {
		return want
	}
	if s.openPaths[c.Path()] {
		return roleOpen
	}
	return roleRead
}

// crossOrigin refuses requests by which a page of somebody else, open in a
// browser that reaches this server, would change something here.
func (s *Server) crossOrigin() echo.MiddlewareFunc {
	p := http.NewCrossOriginProtection()
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			if err := p.Check(c.Request()); err != nil {
				return &statusError{status: http.StatusForbidden, message: "a page of another origin may not ask for that"}
			}
			return next(c)
		}
	}
}
