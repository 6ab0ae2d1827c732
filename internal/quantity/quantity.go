// Package quantity reads the sizes and durations that people write in
// configuration files, such as "128MiB" and "6h", and writes lengths of time
// for people to read.
package quantity

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"oriel/clair"
)

// Bytes is a number of bytes.
type Bytes int64

// units from the longest suffix, so that "MiB" is not taken for "B".
var units = [...]struct {
	suffix string
	factor int64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1}, {"", 1},
}

// UnmarshalText reads a whole number with a unit: B, kB, MB, GB, TB, KiB, MiB,
// GiB or TiB. The error is an ErrInvalid.
func (b *Bytes) UnmarshalText(text []byte) error {
	for _, u := range units {
		digits, ok := strings.CutSuffix(string(text), u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
		if err != nil || n < 0 || n > (1<<62)/u.factor {
			return fmt.Errorf("%w: %q is not a size such as \"128MiB\"", clair.ErrInvalid, text)
		}
		*b = Bytes(n * u.factor)
		return nil
	}
	return nil
}

// MarshalText returns the form of String.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// String returns the shortest exact form, such as "128MiB".
func (b Bytes) String() string {
	for i := 3; i >= 0; i-- {
		if u := units[i]; b != 0 && int64(b)%u.factor == 0 {
			return strconv.FormatInt(int64(b)/u.factor, 10) + u.suffix
		}
	}
	return strconv.FormatInt(int64(b), 10) + "B"
}

// Duration is a time.Duration in the form of time.ParseDuration.
type Duration time.Duration

// UnmarshalText reads a duration, not negative. The error is an ErrInvalid.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil || v < 0 {
		return fmt.Errorf("%w: %q is not a duration such as \"6h\" or \"30s\"", clair.ErrInvalid, text)
	}
	*d = Duration(v)
	return nil
}

// MarshalText returns the form of String.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// String returns the form without zero units at the end: "6h", not "6h0m0s".
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// Length returns a length of time in its largest unit or two, such as "45s",
// "3h05m", "3d4h" or "12d". A negative one is "0s".
func Length(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", max(0, d/time.Second))
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < day:
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	case d < 10*day:
		return fmt.Sprintf("%dd%dh", d/day, d%day/time.Hour)
	}
	return fmt.Sprintf("%dd", d/day)
}
