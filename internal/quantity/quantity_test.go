package quantity_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/internal/quantity"
)

func TestBytes(t *testing.T) {
	for text, want := range map[string]quantity.Bytes{
		"0": 0, "1": 1, "7B": 7, "1KiB": 1024, "128MiB": 128 << 20, "2 GiB": 2 << 30, "1TiB": 1 << 40, "5kB": 5000, "3MB": 3e6, "2GB": 2e9, "1TB": 1e12,
	} {
		t.Run(text, func(t *testing.T) {
			var b, again quantity.Bytes
			require.NoError(t, b.UnmarshalText([]byte(text)))
			require.Equal(t, want, b)
			require.NoError(t, again.UnmarshalText([]byte(b.String())))
			require.Equal(t, b, again)
		})
	}
	for _, text := range []string{"", "MiB", "-1", "1.5GiB", "1PiB", "99999999999TiB", "much"} {
		t.Run("not_"+text, func(t *testing.T) {
			var b quantity.Bytes
			require.ErrorIs(t, b.UnmarshalText([]byte(text)), clair.ErrInvalid)
		})
	}
}

func TestBytes_String(t *testing.T) {
	require.Equal(t, "128MiB", quantity.Bytes(128<<20).String())
	require.Equal(t, "1025B", quantity.Bytes(1025).String())
	require.Equal(t, "0B", quantity.Bytes(0).String())
}

func TestDuration(t *testing.T) {
	for text, want := range map[string]string{"6h": "6h", "90m": "1h30m", "0s": "0s", "1m30s": "1m30s", "10m": "10m", "1h0m1s": "1h0m1s"} {
		t.Run(text, func(t *testing.T) {
			var d quantity.Duration
			require.NoError(t, d.UnmarshalText([]byte(text)))
			require.Equal(t, want, d.String())
		})
	}
	for _, text := range []string{"", "6", "6 hours", "-1s"} {
		t.Run("not_"+text, func(t *testing.T) {
			var d quantity.Duration
			require.ErrorIs(t, d.UnmarshalText([]byte(text)), clair.ErrInvalid)
		})
	}
}

func TestLength(t *testing.T) {
	const day = 24 * time.Hour
	for want, d := range map[string]time.Duration{
		"0s": -time.Hour, "59s": time.Minute - 1, "1m": time.Minute, "59m": time.Hour - 1, "1h00m": time.Hour, "3h05m": 3*time.Hour + 5*time.Minute,
		"1d0h": day, "3d4h": 3*day + 4*time.Hour + 59*time.Minute, "10d": 10*day + 23*time.Hour,
	} {
		t.Run(want, func(t *testing.T) { require.Equal(t, want, quantity.Length(d)) })
	}
}
