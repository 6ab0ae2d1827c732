package window

import (
	"errors"
	"time"

	"oriel/clair"
	"oriel/internal/quantity"
)

// Config is the [window] table.
type Config struct {
	// MaxActive is how many sessions of one platform read together, and
	// MaxQueued how many of all platforms wait for their turn.
	MaxActive int `toml:"max_active"`
	MaxQueued int `toml:"max_queued"`
	// MaxPerClient is how many sessions one client address has; 0 is any
	// number.
	MaxPerClient int `toml:"max_per_client"`
	// SessionTimeout ends a session that makes no request, PaneTimeout one
	// that does not get through a pane, and PassTimeout one that does not
	// get through the list.
	SessionTimeout quantity.Duration `toml:"session_timeout"`
	PaneTimeout    quantity.Duration `toml:"pane_timeout"`
	PassTimeout    quantity.Duration `toml:"pass_timeout"`
	// MaxWait bounds how long a request is held that asks to wait.
	MaxWait quantity.Duration `toml:"max_wait"`
	// PaneRows and PageRows are the most rows of a pane and of one answer.
	PaneRows int `toml:"pane_rows"`
	PageRows int `toml:"page_rows"`
	// Memory bounds all panes, their compressed copies and what is being
	// sent, of all platforms together.
	Memory quantity.Bytes `toml:"memory"`
}

// Default is the configuration of an empty table.
func Default() Config {
	return Config{
		MaxActive: 128, MaxQueued: 1024,
		SessionTimeout: quantity.Duration(30 * time.Second), PaneTimeout: quantity.Duration(2 * time.Minute),
		PassTimeout: quantity.Duration(15 * time.Minute), MaxWait: quantity.Duration(30 * time.Second),
		PaneRows: 8000, PageRows: 128, Memory: 16 << 20,
	}
}

const (
	// shares is into how many parts the memory is divided: one is for the
	// rows that are being read, each other one for a pane.
	shares = 8
	// minMemory lets a share hold a few hundred rows.
	minMemory = 1 << 20
	// maxSessions bounds what a configuration may ask for; a session takes
	// about a kilobyte.
	maxSessions = 1 << 20
)

// Validate names the keys whose values are impossible; the error is an
// ErrInvalid.
func (c Config) Validate() error {
	var errs []error
	for _, n := range []struct {
		key              string
		value, low, high int
	}{
		{"max_active", c.MaxActive, 1, maxSessions}, {"max_queued", c.MaxQueued, 0, maxSessions},
		{"max_per_client", c.MaxPerClient, 0, maxSessions},
		{"pane_rows", c.PaneRows, 1, maxSessions}, {"page_rows", c.PageRows, 1, 10_000},
	} {
		if n.value < n.low || n.value > n.high {
			errs = append(errs, clair.Invalid("window."+n.key, "%d: must be from %d to %d", n.value, n.low, n.high))
		}
	}
	for _, d := range []struct {
		key   string
		value quantity.Duration
	}{{"session_timeout", c.SessionTimeout}, {"pane_timeout", c.PaneTimeout}, {"pass_timeout", c.PassTimeout}} {
		if time.Duration(d.value) < 100*time.Millisecond {
			errs = append(errs, clair.Invalid("window."+d.key, "%v: must be at least 100ms", d.value))
		}
	}
	if c.MaxWait < 0 {
		errs = append(errs, clair.Invalid("window.max_wait", "%v: must not be negative", c.MaxWait))
	}
	if c.Memory < minMemory {
		errs = append(errs, clair.Invalid("window.memory", "%v: must be at least %v", c.Memory, quantity.Bytes(minMemory)))
	}
	return errors.Join(errs...)
}
