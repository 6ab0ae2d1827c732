package severity_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/internal/severity"
)

func TestOf(t *testing.T) {
	for text, want := range map[string]clair.Severity{
		"": clair.Unknown, "bogus": clair.Unknown, "not yet assigned": clair.Unknown, "NaN": clair.Unknown, "11": clair.Unknown,
		"CRITICAL": clair.Critical, "Important": clair.High, "moderate": clair.Medium, " low ": clair.Low, "unimportant": clair.Negligible,
		"0.0": clair.Negligible, "3.9": clair.Low, "4": clair.Medium, "7.0": clair.High, "9.8": clair.Critical,
		"CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N": clair.Negligible, "(AV:N/AC:L/Au:N/C:C/I:C/A:C)": clair.High,
		"CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:H/SI:H/SA:H": clair.Critical,
	} {
		t.Run(text, func(t *testing.T) { require.Equal(t, want, severity.Of(text)) })
	}
}

func FuzzOf(f *testing.F) {
	for _, s := range []string{"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:H/SI:H/SA:H", "AV:N/AC:L/Au:N/C:P/I:P/A:P", "high", "9.8"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got := severity.Of(s); got > clair.Critical {
			t.Fatalf("%q: %d", s, got)
		}
	})
}

func TestMostSevere(t *testing.T) {
	row := func(id string, s clair.Severity, fixed string) *clair.Vulnerability {
		return &clair.Vulnerability{ID: id, NormalizedSeverity: s, FixedInVersion: fixed}
	}
	for _, c := range []struct {
		name, want string
		list       []*clair.Vulnerability
	}{
		{"severity", "2", []*clair.Vulnerability{row("1", clair.Low, "1"), row("2", clair.High, "")}},
		{"then_fix", "2", []*clair.Vulnerability{row("1", clair.Low, ""), row("2", clair.Low, "1")}},
		{"then_first", "1", []*clair.Vulnerability{row("1", clair.Low, "2"), row("2", clair.Low, "1")}},
	} {
		t.Run(c.name, func(t *testing.T) { require.Equal(t, c.want, severity.MostSevere(c.list).ID) })
	}
	t.Run("none", func(t *testing.T) { require.Nil(t, severity.MostSevere(nil)) })
}
