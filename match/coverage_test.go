package match_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/internal/distro"
	"oriel/match"
)

// offers is a catalogue: feeds by platform.
type offers map[string][]clair.Offer

func (o offers) Offers(platform string) []clair.Offer { return o[platform] }

// placed is an index report with one package in each of the places, which are
// platforms, repositories or systems.
func placed(t testing.TB, places ...any) *clair.IndexReport {
	t.Helper()
	r := &clair.IndexReport{
		Packages: map[string]*clair.Package{}, Environments: map[string][]clair.Environment{},
		Distributions: map[string]*clair.Distribution{}, Repositories: map[string]*clair.Repository{},
	}
	for i, at := range places {
		id, env := fmt.Sprint(i), clair.Environment{}
		p := &clair.Package{ID: id, Name: "p" + id, Version: "1", Kind: clair.Binary}
		switch at := at.(type) {
		case clair.Distribution:
			r.Distributions[id], env.DistributionID = &at, id
		case clair.Repository:
			r.Repositories[id], env.RepositoryIDs = &at, []string{id}
		case [2]string: // a platform and an architecture
			release, ok := distro.ReleaseByName(at[0])
			require.True(t, ok, at)
			r.Distributions[id], env.DistributionID, p.Arch = release.Distribution(), id, at[1]
		}
		r.Packages[id], r.Environments[id] = p, []clair.Environment{env}
	}
	return r
}

func rowOf(platform string) *clair.Vulnerability {
	v := &clair.Vulnerability{Name: "CVE-1", Package: &clair.Package{Name: "p0", Kind: clair.Binary}, FixedInVersion: "2"}
	if r, ok := distro.ReleaseByName(platform); ok {
		v.Dist = r.Distribution()
	} else {
		v.Repo = &clair.Repository{Name: platform}
	}
	return v
}

func TestCoverer_Coverage(t *testing.T) {
	db := newStore(t, rowOf("debian:12"), rowOf("debian:11"), rowOf("npm"), rowOf("rhel:9"), rowOf("ubuntu:22.04"), rowOf("amzn:2023"))
	feeds := clair.Feeds{
		{UpdateStatus: clair.UpdateStatus{Updater: "feed", LastSuccess: time.Unix(1e9, 0)}, Configured: true, Enabled: true},
		{UpdateStatus: clair.UpdateStatus{Updater: "alpine/3.22"}, Configured: true, Enabled: true},
		{UpdateStatus: clair.UpdateStatus{Updater: "alpine/3.21"}, Configured: true, Enabled: true, Running: true},
		{UpdateStatus: clair.UpdateStatus{Updater: "alpine/3.20", Error: "HTTP 404"}, Configured: true, Enabled: true},
	}
	c := &match.Coverer{
		Holdings: db,
		Feeds:    func(context.Context) (clair.Feeds, error) { return feeds, nil },
		Now:      func() time.Time { return time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC) },
		Catalogue: offers{
			"alpine:3.23": {{Feed: "alpine/3.23"}}, "alpine:3.22": {{Feed: "alpine/3.22"}}, "alpine:3.21": {{Feed: "alpine/3.21"}},
			"alpine:3.20": {{Feed: "alpine/3.20"}}, "alpine:3.19": {{Feed: "feed", Any: true}, {Feed: "alpine/3.19"}},
			"pypi": {{Feed: "feed", Any: true}}, "debian:15": {{Feed: "feed", Any: true}}, "debian:14": {{Feed: "feed"}}, "amzn:2023": {{Feed: "feed", Arch: "x86_64"}},
		},
	}
	for _, tt := range []struct {
		name string
		at   any
		want string // place, reason, end, what it is matched as, hint
	}{
		{"covered", [2]string{"debian:12"}, "debian:12||||"},
		{"ended_and_covered", [2]string{"debian:11"}, "debian:11||2026-08-31||"},
		{"language", clair.Repository{Name: "npm"}, "npm||||"},
		{"derived", [2]string{"centos:9"}, "centos:9|||rhel:9|Matched as rhel:9."},
		{"derived_with_numbers_of_its_own", clair.Distribution{DID: "linuxmint", Name: "Linux Mint", VersionID: "21.3"}, "linuxmint:21|||ubuntu:22.04|Matched as ubuntu:22.04."},
		{"derived_from_an_unknown_release", clair.Distribution{DID: "linuxmint", Name: "Linux Mint", VersionID: "99"}, "linuxmint:99|unknown-release|||The release that it is derived from cannot be determined."},
		{"rebuilt", clair.Distribution{DID: "kali", Name: "Kali GNU/Linux", VersionID: "2024.1"}, "kali:2024.1|unknown-distribution|||No feed is known for the distribution, and its packages are not those of Debian."},
		{"product_of_a_release", clair.Repository{Name: "cpe:/a:redhat:openshift:4.13::el9", Key: "rhel-cpe-repository"}, "rhel:9||||"},
		{"other_architecture", [2]string{"amzn:2023", "aarch64"}, "amzn:2023|other-architecture|||The feeds in use (feed) have no advisories for aarch64."},
		{"same_architecture", [2]string{"amzn:2023", "i686"}, "amzn:2023||||"},
		{"every_architecture", [2]string{"amzn:2023", "noarch"}, "amzn:2023||||"},
		{"feed_not_in_use", [2]string{"alpine:3.23"}, "alpine:3.23|no-feed|||Enable alpine/3.23 in the configuration."},
		{"feed_waiting", [2]string{"alpine:3.22"}, "alpine:3.22|never-fetched|||Run: oriel update alpine/3.22."},
		{"feed_running", [2]string{"alpine:3.21"}, "alpine:3.21|never-fetched|2026-11-01||The feed alpine/3.21 is being fetched."},
		{"feed_failed", [2]string{"alpine:3.20"}, "alpine:3.20|never-fetched|2026-04-01||The feed alpine/3.20 could not be fetched: HTTP 404."},
		{"no_feed", [2]string{"fedora:44"}, "fedora:44|no-feed|||No feed is known that has advisories for it."},
		{"feed_about_something_else", [2]string{"alpine:3.19"}, "alpine:3.19|no-feed|2025-11-01||Enable alpine/3.19 in the configuration."},
		{"feed_about_something_else_alone", clair.Repository{Name: "pypi"}, "pypi|no-feed|||No feed is known that has advisories for it."},
		{"release_unknown_to_a_feed_of_several", [2]string{"debian:15"}, "debian:15|unknown-release|||The feed feed has no advisories for it."},
		{"release_unknown_to_its_feed", [2]string{"debian:14"}, "debian:14|unknown-release|||The feed feed has no advisories for it."},
		{"release_removed", [2]string{"debian:9"}, "debian:9|ended-release|2022-07-01||The release ended on 2022-07-01 and was removed from Debian's security tracker."},
		{"interim_release_removed", [2]string{"ubuntu:23.10"}, "ubuntu:23.10|ended-release|2024-07-12||The release ended on 2024-07-12 and was removed from Canonical's feed."},
		{"system_without_a_release", clair.Distribution{DID: "debian"}, "debian|unknown-release|||The release of the distribution cannot be determined."},
		{"unknown_distribution", clair.Distribution{DID: "slackware", VersionID: "15.0"}, "slackware:15.0|unknown-distribution|||No feed is known for the distribution."},
		{"nowhere", nil, "unknown|unidentified|||The packages belong to no known distribution or ecosystem."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := c.Coverage(t.Context(), placed(t, tt.at))
			require.NoError(t, err)
			require.Len(t, got.Places, 1)
			p := got.Places[0]
			require.Equal(t, tt.want, fmt.Sprintf("%s|%s|%s|%s|%s", p.Name, p.Reason, p.Ended, p.MatchedAs, p.Hint))
			require.Equal(t, 1, p.Packages)
			require.Equal(t, p.Reason == "", p.Covered)
			if p.Covered {
				require.Equal(t, []string{"feed"}, p.Feeds)
				require.Equal(t, time.Unix(1e9, 0).UTC(), p.Checked)
			}
		})
	}

	t.Run("all_places", func(t *testing.T) {
		index := placed(t, [2]string{"debian:12"}, [2]string{"debian:12"}, [2]string{"alpine:3.23"}, nil, clair.Repository{Name: "npm"})
		index.Unmatched = []clair.Unmatched{{Package: "app.jar", Reason: "unknown"}}
		got, err := c.Coverage(t.Context(), index)
		require.NoError(t, err)
		require.Equal(t, "alpine:3.23;packages=1, unknown;packages=1", got.Header())
		b, err := json.Marshal(got)
		require.NoError(t, err)
		require.JSONEq(t, `{"manifest_hash":"","unmatched":[{"package":"app.jar","version":"","reason":"unknown"}],"places":[
			{"place":"alpine:3.23","packages":1,"covered":false,"feeds":[],"ended":null,"reason":"no-feed","hint":"Enable alpine/3.23 in the configuration."},
			{"place":"unknown","packages":1,"covered":false,"feeds":[],"ended":null,"reason":"unidentified","hint":"The packages belong to no known distribution or ecosystem."},
			{"place":"debian:12","packages":2,"covered":true,"feeds":["feed"],"ended":null,"reason":"","hint":"","checked":"2001-09-09T01:46:40Z"},
			{"place":"npm","packages":1,"covered":true,"feeds":["feed"],"ended":null,"reason":"","hint":"","checked":"2001-09-09T01:46:40Z"}]}`, string(b))
	})

	t.Run("feed_switched_off", func(t *testing.T) {
		feeds[0].Enabled = false
		defer func() { feeds[0].Enabled = true }()
		got, err := c.Coverage(t.Context(), placed(t, [2]string{"debian:12"}))
		require.NoError(t, err)
		require.False(t, got.Places[0].Covered)
	})
}

func TestPlace_String(t *testing.T) {
	p := clair.Place{Name: "npm", Packages: 1, Reason: clair.NoFeed, Hint: "Enable osv/npm in the configuration."}
	require.Equal(t, "npm (1 package): no-feed. Enable osv/npm in the configuration.", p.String())
	p.Packages = 3
	require.Equal(t, "npm (3 packages): no-feed. Enable osv/npm in the configuration.", p.String())
}

// The packages of all manifests are counted by place, without their sources.
func TestCoverer_Total(t *testing.T) {
	db := newStore(t, rowOf("debian:12"))
	for i := range 3 {
		r := placed(t, [2]string{"debian:12"}, [2]string{"alpine:3.23"}, clair.Repository{Name: "npm"}, clair.Repository{Name: "npm"})
		if i == 0 {
			r = placed(t, [2]string{"alpine:3.23"}, clair.Distribution{DID: "slackware", VersionID: "15.0"})
		}
		for _, p := range r.Packages {
			p.Source = &clair.Package{Name: "source", Version: "1"}
		}
		r.Hash, r.State = clair.Digest(fmt.Sprintf("sha256:%064x", i)), clair.StateIndexFinished
		_, err := db.PutIndexReport(t.Context(), r)
		require.NoError(t, err)
	}
	var counter match.PlaceCounter
	held := 0
	for _, err := range counter.Through(db.InstalledPackages(t.Context())) {
		require.NoError(t, err)
		held++
	}
	require.NotZero(t, held)
	require.Equal(t, []string{"alpine:3.23", "debian:12", "npm"}, counter.Platforms())
	c := &match.Coverer{
		Holdings:  db,
		Feeds:     func(context.Context) (clair.Feeds, error) { return nil, nil },
		Catalogue: offers{"npm": {{Feed: "osv/npm"}}},
	}
	got, err := c.Total(t.Context(), &counter)
	require.NoError(t, err)
	var lines []string
	for i := range got.Places {
		p := &got.Places[i]
		lines = append(lines, fmt.Sprintf("%s %d %v %s", p.Name, p.Packages, p.Covered, p.Reason))
	}
	require.Equal(t, []string{"alpine:3.23 3 false no-feed", "npm 4 false no-feed", "slackware:15.0 1 false unknown-distribution", "debian:12 2 true "}, lines)

	place, err := c.Place(t.Context(), "bookworm")
	require.NoError(t, err)
	require.Equal(t, "debian:12", place.Name)
	require.True(t, place.Covered)
	place, err = c.Place(t.Context(), "plan9:4")
	require.NoError(t, err)
	require.Equal(t, clair.UnknownDistribution, place.Reason)
}

// BenchmarkCoverer_Coverage is a report of 400 packages in two places, with the
// sections of all platforms and of several hundred products of Red Hat.
func BenchmarkCoverer_Coverage(b *testing.B) {
	var rows []*clair.Vulnerability
	for _, name := range []string{"debian", "ubuntu", "alpine", "fedora", "ol", "almalinux", "rocky", "amzn", "sles", "photon"} {
		for n := 1; n < 30; n++ {
			v := rowOf("npm")
			v.Name, v.Repo = fmt.Sprint("CVE-", name, n), nil
			v.Dist = &clair.Distribution{DID: name, Name: name, VersionID: fmt.Sprint(n, ".04"), Version: fmt.Sprint(n)}
			rows = append(rows, v)
		}
	}
	for n := range 600 {
		v := rowOf("npm")
		v.Name, v.Repo = fmt.Sprint("CVE-", n), &clair.Repository{Key: clair.RHELKey, Name: fmt.Sprintf("cpe:/a:redhat:product%d:%d::el%d", n, n%7, 7+n%4)}
		rows = append(rows, v)
	}
	for _, e := range clair.Ecosystems() {
		rows = append(rows, rowOf(e.Repository))
	}
	db := newStore(b, rows...)
	index := placed(b, [2]string{"debian:12", "amd64"}, clair.Repository{Name: "npm"})
	for i := 2; i < 400; i++ {
		id := fmt.Sprint(i)
		index.Packages[id], index.Environments[id] = index.Packages[fmt.Sprint(i%2)], index.Environments[fmt.Sprint(i%2)]
	}
	c := &match.Coverer{Holdings: db, Feeds: func(context.Context) (clair.Feeds, error) { return nil, nil }}
	for b.Loop() {
		if _, err := c.Coverage(b.Context(), index); err != nil {
			b.Fatal(err)
		}
	}
}

// A place that one feed has advisories for is not covered while another automatic
// feed that it needs has never been fetched.
func TestCoverer_Awaited(t *testing.T) {
	needed := time.Unix(2e9, 0)
	for _, tt := range []struct {
		name  string
		other clair.Feed // the feed "community"
		offer clair.Offer

		reason clair.NotCovered
		hint   string
	}{
		{"running", clair.Feed{Auto: true, Running: true, UpdateStatus: clair.UpdateStatus{Needed: needed}}, clair.Offer{Auto: true}, clair.NeverFetched, "The feed community is being fetched."},
		{"failed", clair.Feed{Auto: true, UpdateStatus: clair.UpdateStatus{Needed: needed, Error: "HTTP 404"}}, clair.Offer{Auto: true}, clair.NeverFetched, "The feed community could not be fetched: HTTP 404."},
		{"interrupted", clair.Feed{Auto: true, UpdateStatus: clair.UpdateStatus{Needed: needed}}, clair.Offer{Auto: true}, clair.NeverFetched, "Run: oriel update community."},
		{"fetched", clair.Feed{Auto: true, UpdateStatus: clair.UpdateStatus{Needed: needed, LastSuccess: needed}}, clair.Offer{Auto: true}, "", ""},
		{"not_needed", clair.Feed{Auto: true}, clair.Offer{Auto: true}, "", ""},
		{"not_automatic", clair.Feed{}, clair.Offer{}, "", ""},
		{"of_any_place", clair.Feed{Auto: true, UpdateStatus: clair.UpdateStatus{Needed: needed}}, clair.Offer{Auto: true, Any: true}, "", ""},
		{"of_an_architecture", clair.Feed{Auto: true, UpdateStatus: clair.UpdateStatus{Needed: needed}}, clair.Offer{Auto: true, Arch: "aarch64"}, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.other.Updater, tt.other.Configured, tt.other.Enabled, tt.offer.Feed = "community", true, true, "community"
			feeds := clair.Feeds{{UpdateStatus: clair.UpdateStatus{Updater: "feed", LastSuccess: needed}, Configured: true, Enabled: true}, tt.other}
			c := &match.Coverer{
				Holdings:  newStore(t, rowOf("alpine:3.23")),
				Feeds:     func(context.Context) (clair.Feeds, error) { return feeds, nil },
				Catalogue: offers{"alpine:3.23": {{Feed: "feed"}, tt.offer}},
			}
			got, err := c.Coverage(t.Context(), placed(t, [2]string{"alpine:3.23", "x86_64"}))
			require.NoError(t, err)
			require.Len(t, got.Places, 1)
			p := got.Places[0]
			require.Equal(t, []any{tt.reason == "", tt.reason, tt.hint, []string{"feed"}}, []any{p.Covered, p.Reason, p.Hint, p.Feeds})
		})
	}
}
