package clair_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"oriel/clair"
)

func TestParseDigest(t *testing.T) {
	sum := strings.Repeat("0af9", 16)
	for _, c := range []struct {
		name, in string
		want     clair.Digest
	}{
		{"sha256", "sha256:" + sum, clair.Digest("sha256:" + sum)},
		{"sha512", "sha512:" + sum + sum, clair.Digest("sha512:" + sum + sum)},
		{"upper_case", "sha256:" + strings.ToUpper(sum), clair.Digest("sha256:" + sum)},
		{"empty", "", ""},
		{"no_algorithm", sum, ""},
		{"other_algorithm", "md5:" + sum, ""},
		{"upper_case_algorithm", "SHA256:" + sum, ""},
		{"short", "sha256:" + sum[1:], ""},
		{"long", "sha256:" + sum + "0", ""},
		{"not_hexadecimal", "sha256:g" + sum[1:], ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := clair.ParseDigest(c.in)
			require.Equal(t, c.want, got)
			if c.want == "" {
				require.ErrorIs(t, err, clair.ErrInvalid)
				return
			}
			require.NoError(t, err)
		})
	}
}

func TestSeverity_UnmarshalText(t *testing.T) {
	for text, want := range map[string]clair.Severity{"": clair.Unknown, "unknown": clair.Unknown, "Negligible": clair.Negligible, "CRITICAL": clair.Critical} {
		t.Run(text, func(t *testing.T) {
			got := clair.High
			require.NoError(t, got.UnmarshalText([]byte(text)))
			require.Equal(t, want, got)
		})
	}
	var s clair.Severity
	require.ErrorIs(t, s.UnmarshalText([]byte("severe")), clair.ErrInvalid)
	require.Equal(t, "Unknown", clair.Severity(77).String())
}

func TestBounds(t *testing.T) {
	for text, want := range map[string]clair.Bounds{
		"":                              {},
		"fixed=2.0":                     {Fixed: "2.0"},
		"fixed=2.0&introduced=1%2B1":    {Introduced: "1+1", Fixed: "2.0"},
		"introduced=1&lastAffected=1.9": {Introduced: "1", LastAffected: "1.9"},
		"introduced=1&limit=3":          {Introduced: "1", Limit: "3"},
		"versions=1%2C2":                {Versions: []string{"1", "2"}},
	} {
		t.Run(text, func(t *testing.T) {
			got, err := clair.ParseBounds(text)
			require.NoError(t, err)
			require.Equal(t, want, got)
			require.Equal(t, text, got.String())
		})
	}
	t.Run("plain_version", func(t *testing.T) {
		got, err := clair.ParseBounds("1:2.3-4")
		require.NoError(t, err)
		require.Equal(t, clair.Bounds{Fixed: "1:2.3-4"}, got)
	})
	t.Run("malformed", func(t *testing.T) {
		_, err := clair.ParseBounds("fixed=%zz")
		require.ErrorIs(t, err, clair.ErrInvalid)
	})
}

func TestVulnerability_Fix(t *testing.T) {
	repo := func(name string) *clair.Repository { return &clair.Repository{Name: name} }
	for _, c := range []struct {
		name, fixed string
		repo        *clair.Repository
		fix         string
		outward     string
	}{
		{"distribution", "1.2-3", nil, "1.2-3", "1.2-3"},
		{"distribution_without_fix", "", nil, "", ""},
		{"zero_is_no_fix", "0", nil, "", "0"},
		{"vendor_repository", "1.2-3", repo("cpe:/o:redhat:enterprise_linux:9"), "1.2-3", "1.2-3"},
		{"npm", "fixed=2.0&introduced=1", repo("npm"), "2.0", "2.0"},
		{"npm_without_fix", "introduced=1&lastAffected=2", repo("npm"), "", ""},
		{"pypi", "fixed=2.0&introduced=1", repo("pypi"), "2.0", "fixed=2.0&introduced=1"},
		{"pypi_without_fix", "introduced=1", repo("pypi"), "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := clair.Vulnerability{FixedInVersion: c.fixed, Repo: c.repo, Range: &clair.Range{Lower: "a"}}
			require.Equal(t, c.fix, v.Fix())
			out := v.Outward()
			require.Equal(t, c.outward, out.FixedInVersion)
			require.Nil(t, out.Range)
			require.Equal(t, c.fixed, v.FixedInVersion, "the vulnerability itself is not changed")
		})
	}
}

func TestParseNormalizedVersion(t *testing.T) {
	got, err := clair.ParseNormalizedVersion("semver:0.1.2.3.0.0.0.0.0.0")
	require.NoError(t, err)
	require.Equal(t, clair.NormalizedVersion{Kind: "semver", V: [10]int32{0, 1, 2, 3}}, got)
	require.Equal(t, "semver:0.1.2.3.0.0.0.0.0.0", got.String())
	next, err := clair.ParseNormalizedVersion("semver:0.1.10.0.0.0.0.0.0.0")
	require.NoError(t, err)
	require.Negative(t, got.Compare(next))
	require.Positive(t, next.Compare(got))
	require.Zero(t, got.Compare(got))
	for _, bad := range []string{"semver", "semver:1", ":0.1.2.3.0.0.0.0.0.0", "semver:0.1.2.3.0.0.0.0.0.x", "semver:0.1.2.3.0.0.0.0.0.4294967296"} {
		t.Run(bad, func(t *testing.T) {
			_, err := clair.ParseNormalizedVersion(bad)
			require.ErrorIs(t, err, clair.ErrInvalid)
		})
	}
}

func TestFeed_Condition(t *testing.T) {
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	ran := clair.UpdateStatus{Updater: "ok", LastSuccess: now.Add(-time.Hour)}
	failed := ran
	failed.Updater, failed.Error = "failed", "no route"
	feeds := clair.Feeds{
		{UpdateStatus: ran, Configured: true, Enabled: true, StaleAfter: 2 * time.Hour},
		{UpdateStatus: failed, Configured: true, Enabled: true},
		{UpdateStatus: clair.UpdateStatus{Updater: "missing"}, Configured: true, Enabled: true},
		{UpdateStatus: clair.UpdateStatus{Updater: "stale", LastSuccess: now.Add(-3 * time.Hour)}, StaleAfter: 2 * time.Hour},
		{UpdateStatus: clair.UpdateStatus{Updater: "off", LastSuccess: now.Add(-9 * time.Hour)}, Configured: true},
	}
	for i, want := range []clair.FeedCondition{clair.FeedOK, clair.FeedFailed, clair.FeedMissing, clair.FeedStale, clair.FeedOff} {
		t.Run(string(want), func(t *testing.T) { require.Equal(t, want, feeds[i].Condition(now)) })
	}
	require.Equal(t, []string{"failed", "missing", "stale"}, feeds.Lagging(now))
	require.Equal(t, "stale", feeds.Oldest().Updater)
	require.Nil(t, clair.Feeds(nil).Oldest())
}

func TestParseSince(t *testing.T) {
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	id := uuid.New()
	for text, want := range map[string]clair.Since{
		"2026-10-31T12:00:00Z": {Time: now.Add(-24 * time.Hour)},
		"24h":                  {Time: now.Add(-24 * time.Hour)},
		id.String():            {Operation: id},
	} {
		t.Run(text, func(t *testing.T) {
			got, err := clair.ParseSince(text, now)
			require.NoError(t, err)
			require.True(t, want.Time.Equal(got.Time))
			require.Equal(t, want.Operation, got.Operation)
		})
	}
	for _, bad := range []string{"", "-1h", "yesterday", uuid.Nil.String()} {
		t.Run("not_"+bad, func(t *testing.T) {
			_, err := clair.ParseSince(bad, now)
			require.ErrorIs(t, err, clair.ErrInvalid)
		})
	}
}

// TestEnrichments_JSON checks the order of the keys: Quay's client takes the
// first one for CVSS.
func TestEnrichments_JSON(t *testing.T) {
	b, err := json.Marshal(clair.Enrichments{
		{Type: "z", Messages: []json.RawMessage{json.RawMessage(`{}`)}},
		{Type: "a", Messages: []json.RawMessage{json.RawMessage(`1`), json.RawMessage(`2`)}},
	})
	require.NoError(t, err)
	require.Equal(t, `{"z":[{}],"a":[1,2]}`, string(b))
}

func TestNotification_JSON(t *testing.T) {
	n := clair.Notification{
		Manifest: "sha256:" + clair.Digest(strings.Repeat("0", 64)), Reason: clair.ReasonChanged, Version: "1.1",
		Vulnerability: &clair.Vulnerability{Name: "GHSA-1", NormalizedSeverity: clair.High, Repo: &clair.Repository{Name: "npm"}, FixedInVersion: "fixed=2.0"},
		Previous:      &clair.Vulnerability{NormalizedSeverity: clair.Low},
	}
	b, err := json.Marshal(n)
	require.NoError(t, err)
	require.JSONEq(t, `{"manifest":"sha256:`+strings.Repeat("0", 64)+`","reason":"changed","installed_version":"1.1",
		"previous":{"normalized_severity":"Low","fixed_in_version":""},
		"vulnerability":{"name":"GHSA-1","description":"","severity":"High","normalized_severity":"High","fixed_in_version":"2.0","links":"","updater":"",
		"repo":{"name":"npm","cpe":""},"repository":{"name":"npm","cpe":""}}}`, string(b))
}
