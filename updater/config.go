package updater

import (
	"time"

	"oriel/clair"
	"oriel/internal/quantity"
)

// Config is the [updater] table of the configuration.
type Config struct {
	// Interval is the time between two runs of all feeds, varied at random by a
	// tenth. "0s": only at start and on request.
	Interval quantity.Duration `toml:"interval"`
	// AtStart runs all feeds once at start.
	AtStart bool `toml:"at_start"`
	// Keep is the number of update operations kept per updater.
	Keep int `toml:"keep"`
	// Timeout limits one run of one feed.
	Timeout quantity.Duration `toml:"timeout"`
	// StaleAfter is the age of a feed's last success from which it is stale;
	// "0s" means never. A feed's own key of the same name takes precedence.
	StaleAfter quantity.Duration `toml:"stale_after"`
	// ReadyAfter is how long the server is not ready because an enabled feed
	// has never succeeded.
	ReadyAfter quantity.Duration `toml:"ready_after"`
	// Auto allows feeds that are enabled = "auto" to be fetched when something
	// needs them.
	Auto bool `toml:"auto"`
	// MaxShrink is the part of its records that a feed may lose from one
	// operation to the next; one that loses more is held back. 0 means any. A
	// feed's own key of the same name takes precedence.
	MaxShrink float64 `toml:"max_shrink"`
}

// Default returns the default configuration.
func Default() Config {
	return Config{
		Interval: quantity.Duration(6 * time.Hour), AtStart: true, Keep: 10, Timeout: quantity.Duration(30 * time.Minute),
		StaleAfter: quantity.Duration(24 * time.Hour), ReadyAfter: quantity.Duration(15 * time.Minute),
		Auto: true, MaxShrink: 0.5,
	}
}

// minInterval prevents that a wrong unit floods upstream servers with
// requests.
const minInterval = time.Minute

// Validate returns an error that names the first impossible value.
func (c Config) Validate() error {
	switch {
	case c.Interval < 0 || c.Interval > 0 && time.Duration(c.Interval) < minInterval:
		return clair.Invalid("updater.interval", "%v: must be 0s or at least %v", c.Interval, minInterval)
	case c.Keep < 1:
		return clair.Invalid("updater.keep", "%d: must be at least 1", c.Keep)
	case c.Timeout <= 0:
		return clair.Invalid("updater.timeout", "%v: must be more than 0s", c.Timeout)
	case c.StaleAfter < 0:
		return clair.Invalid("updater.stale_after", "%v: must not be negative", c.StaleAfter)
	case c.ReadyAfter < 0:
		return clair.Invalid("updater.ready_after", "%v: must not be negative", c.ReadyAfter)
	case !(c.MaxShrink >= 0 && c.MaxShrink <= 1):
		return clair.Invalid("updater.max_shrink", "%v: must be a number from 0 to 1", c.MaxShrink)
	}
	return nil
}
