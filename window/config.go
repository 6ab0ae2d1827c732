package window

import (
	"errors"
	"time"

	"oriel/clair"
	"oriel/internal/quantity"
)

// Config is the [window] table.
type Config struct {
	// MaxActive is the maximum number of sessions of one platform that read
	// together, and MaxQueued the maximum number of queued sessions of all
	// platforms.
	MaxActive int `toml:"max_active"`
	MaxQueued int `toml:"max_queued"`
	// MaxPerClient is the maximum number of sessions of one client address; 0
	// means no limit.
	MaxPerClient int `toml:"max_per_client"`
	// SessionTimeout ends a session that makes no request, PaneTimeout one
	// that does not finish a pane, and PassTimeout one that does not finish
	// the list.
	SessionTimeout quantity.Duration `toml:"session_timeout"`
	PaneTimeout    quantity.Duration `toml:"pane_timeout"`
	PassTimeout    quantity.Duration `toml:"pass_timeout"`
	// MaxWait is the longest time for which a request that asks to wait is
	// held.
	MaxWait quantity.Duration `toml:"max_wait"`
	// PaneRows and PageRows are the maximum numbers of rows of a pane and of
	// one response.
	PaneRows int `toml:"pane_rows"`
	PageRows int `toml:"page_rows"`
	// Memory bounds the bytes of all panes, their compressed copies and the
	// responses being sent, over all platforms.
	Memory quantity.Bytes `toml:"memory"`
}

// Default returns the configuration that an empty table stands for.
func Default() Config {
	return Config{
		MaxActive:      128,
		MaxQueued:      1024,
		SessionTimeout: quantity.Duration(30 * time.Second),
		PaneTimeout:    quantity.Duration(2 * time.Minute),
		PassTimeout:    quantity.Duration(15 * time.Minute),
		MaxWait:        quantity.Duration(30 * time.Second),
		PaneRows:       8000,
		PageRows:       128,
		Memory:         16 << 20,
	}
}

const (
	// shares is the number of parts that the memory is divided into: one for
	// the rows being read, each of the others for a pane.
	shares = 8
	// minMemory makes a share large enough for a few hundred rows.
	minMemory = 1 << 20
	// maxSessions is the largest number of sessions that a configuration may
	// allow; a session takes about 1 KB.
	maxSessions = 1 << 20
)

// Validate returns an error that wraps clair.ErrInvalid and names each key
// whose value is out of range.
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
