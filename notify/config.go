package notify

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"oriel/clair"
	"oriel/internal/quantity"
)

// Config is the [notify] table of the configuration.
type Config struct {
	// Enabled turns notifications on. Operations that complete while it is off
	// are not announced later.
	Enabled bool `toml:"enabled"`
	// Callback is the address under which receivers read notifications; their
	// id is appended. By default it is derived from the address of the server.
	Callback string `toml:"callback"`
	// RetryMin is the delay after the first failed attempt; each further delay
	// is twice as long, up to RetryMax. Both are shortened at random.
	RetryMin quantity.Duration `toml:"retry_min"`
	RetryMax quantity.Duration `toml:"retry_max"`
	// GiveUp is how long a delivery is attempted.
	GiveUp quantity.Duration `toml:"give_up"`
	// Timeout limits one attempt.
	Timeout quantity.Duration `toml:"timeout"`
	// Keep is how long notifications are kept after their last delivery was
	// made or given up.
	Keep quantity.Duration `toml:"keep"`
	// Summary reduces a notification to the most severe vulnerability for each
	// manifest and reason, as Clair does by default.
	Summary bool `toml:"summary"`
	// Webhooks are the receivers.
	Webhooks []Webhook `toml:"webhook"`
}

// Webhook is a [[notify.webhook]] table. An empty rule matches everything.
type Webhook struct {
	// Name identifies the webhook's receipts. It is part of addresses.
	Name string `toml:"name"`
	URL  string `toml:"url"`
	// Headers are sent with each delivery.
	Headers map[string]string `toml:"headers"`
	// Secret signs deliveries: base64, with or without "whsec_" before it.
	Secret string `toml:"secret"`
	// Format is FormatClair or FormatFull; "" is FormatClair.
	Format string `toml:"format"`
	// MinSeverity omits rows of lower severities.
	MinSeverity clair.Severity `toml:"min_severity"`
	// OnlyFixed omits rows without a fix.
	OnlyFixed bool `toml:"only_fixed"`
	// OnlyKEV omits vulnerabilities that are not known to be exploited.
	OnlyKEV bool `toml:"only_kev"`
	// Updaters and Manifests are lists of patterns for path.Match, one of which
	// must match.
	Updaters  []string `toml:"updaters"`
	Manifests []string `toml:"manifests"`
}

// The formats of a delivery's body.
const (
	// FormatClair is Clair's body: the notification's id, and the address where
	// it can be read.
	FormatClair = "clair"
	// FormatFull is Clair's body with the first page of the rows.
	FormatFull = "full"
)

// Default returns the default configuration.
func Default() Config {
	const day = 24 * time.Hour
	return Config{
		Enabled:  true,
		RetryMin: quantity.Duration(time.Second),
		RetryMax: quantity.Duration(time.Hour),
		GiveUp:   quantity.Duration(3 * day),
		Timeout:  quantity.Duration(15 * time.Second),
		Keep:     quantity.Duration(14 * day),
		Summary:  true,
	}
}

// Validate returns an error that names every impossible value.
func (c Config) Validate() error {
	var errs []error
	if c.Callback != "" {
		errs = append(errs, checkURL("notify.callback", c.Callback))
	}
	for _, d := range []struct {
		key   string
		value quantity.Duration
	}{{"retry_min", c.RetryMin}, {"retry_max", c.RetryMax}, {"give_up", c.GiveUp}, {"timeout", c.Timeout}, {"keep", c.Keep}} {
		if d.value <= 0 {
			errs = append(errs, clair.Invalid("notify."+d.key, "%v: must be more than 0s", d.value))
		}
	}
	if c.RetryMax < c.RetryMin {
		errs = append(errs, clair.Invalid("notify.retry_max", "%v: must not be less than retry_min, %v", c.RetryMax, c.RetryMin))
	}
	for i, w := range c.Webhooks {
		key := fmt.Sprintf("notify.webhook[%d].", i)
		errs = append(errs, w.validate(key))
		if slices.ContainsFunc(c.Webhooks[:i], func(o Webhook) bool { return o.Name == w.Name }) {
			errs = append(errs, clair.Invalid(key+"name", "%q is the name of another webhook", w.Name))
		}
	}
	return errors.Join(errs...)
}

// webhookName matches names that can be part of a path.
var webhookName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// token matches an HTTP token (RFC 9110, section 5.6.2).
var token = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

func (w Webhook) validate(key string) error {
	errs := []error{checkURL(key+"url", w.URL)}
	if !webhookName.MatchString(w.Name) {
		errs = append(errs, clair.Invalid(key+"name", "%.80q: must be up to 64 letters, digits, dots, dashes and underscores", w.Name))
	}
	for name, value := range w.Headers {
		switch http.CanonicalHeaderKey(name) {
		case "Content-Length", "Host", "Connection", "Transfer-Encoding", "Content-Type", headerID, headerTime, headerSignature:
			errs = append(errs, clair.Invalid(key+"headers."+name, "is set by Oriel"))
			continue
		}
		if !token.MatchString(name) || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
			errs = append(errs, clair.Invalid(key+"headers", "%.80q is not a header", name))
		}
	}
	if _, err := newSigner(w.Secret); err != nil {
		errs = append(errs, clair.Invalid(key+"secret", "%v", err))
	}
	if f := cmp.Or(w.Format, FormatClair); f != FormatClair && f != FormatFull {
		errs = append(errs, clair.Invalid(key+"format", "%.40q is neither %s nor %s", w.Format, FormatClair, FormatFull))
	}
	for name, list := range map[string][]string{"updaters": w.Updaters, "manifests": w.Manifests} {
		for _, pattern := range list {
			if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
				errs = append(errs, clair.Invalid(key+name, "%.80q is not a pattern", pattern))
			}
		}
	}
	return errors.Join(errs...)
}

// checkURL checks that an address is an absolute HTTP address.
func checkURL(key, text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return clair.Invalid(key, "is not an address: %v", errors.Unwrap(err))
	case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return clair.Invalid(key, "%.200q is not an address of http or https", u.Redacted())
	case u.Fragment != "":
		return clair.Invalid(key, "%.200q has a fragment, which is never sent", u.Redacted())
	}
	return nil
}

// filtered reports whether the webhook has a rule that omits rows.
func (w Webhook) filtered() bool {
	return w.MinSeverity > clair.Unknown || w.OnlyFixed || w.OnlyKEV || len(w.Updaters) > 0 || len(w.Manifests) > 0
}

// view returns the name of the webhook's set of rows.
func (w Webhook) view() string {
	if w.filtered() {
		return w.Name
	}
	return ""
}
