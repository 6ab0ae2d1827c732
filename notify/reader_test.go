package notify_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/match"
)

// The fingerprints of a feed's states, as readers of two revisions keep them.
const (
	oldReader = "0123456789ab "
	newReader = "ba9876543210 "
)

// A difference that only Oriel's reading of a feed makes is not notified, and
// is listed among the changes once for each package.
func TestReader(t *testing.T) {
	a, b := vuln("A", "p", "v1.5.0", clair.High), vuln("B", "p", "v1.5.0", clair.Low)
	for _, c := range []struct {
		name          string
		from, to      clair.Fingerprint
		before, after []*clair.Vulnerability
		notified      []string
		changes       []string
	}{
		{
			"same_bytes", oldReader + "etag", newReader + "etag",
			[]*clair.Vulnerability{a}, []*clair.Vulnerability{b, vuln("C", "p", "", clair.High)},
			nil, []string{"reader  p@v1.2.0 01"},
		},
		{
			"same_bytes_and_no_other_finding", oldReader + "etag", newReader + "etag",
			[]*clair.Vulnerability{a}, []*clair.Vulnerability{func() *clair.Vulnerability {
				v := vuln("A", "p", "v1.5.0", clair.High)
				v.Links = "https://example.test/another"
				return v
			}()},
			nil, nil,
		},
		{
			"same_bytes_and_another_severity", oldReader + "etag", newReader + "etag",
			[]*clair.Vulnerability{a}, []*clair.Vulnerability{vuln("A", "p", "v1.5.0", clair.Critical)},
			nil, []string{"reader  p@v1.2.0 01"},
		},
		{
			"an_advisory_is_new", oldReader + "etag", newReader + "another",
			[]*clair.Vulnerability{a}, []*clair.Vulnerability{a, b},
			[]string{"added B p@v1.2.0 01"}, []string{"added B p@v1.2.0 01"},
		},
		{
			"an_advisory_is_withdrawn", oldReader + "etag", newReader + "another",
			[]*clair.Vulnerability{a, b}, []*clair.Vulnerability{a},
			[]string{"removed B p@v1.2.0 01"}, []string{"removed B p@v1.2.0 01"},
		},
		{
			"an_advisory_is_read_in_another_way", oldReader + "etag", newReader + "another",
			[]*clair.Vulnerability{a, vuln("B", "q", "", clair.Low)}, []*clair.Vulnerability{vuln("A", "q", "", clair.High), b},
			nil, []string{"reader  p@v1.2.0 01"},
		},
		{
			"the_same_reader", oldReader + "etag", oldReader + "another",
			[]*clair.Vulnerability{a}, []*clair.Vulnerability{b},
			[]string{"added B p@v1.2.0 01", "removed A p@v1.2.0 01"}, []string{"added B p@v1.2.0 01", "removed A p@v1.2.0 01"},
		},
		{
			"no_revision", "etag", newReader + "etag",
			[]*clair.Vulnerability{a}, []*clair.Vulnerability{a, b},
			[]string{"added B p@v1.2.0 01"}, []string{"added B p@v1.2.0 01"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				w.index(digest(1), "p", "v1.2.0")
				first := w.updateAs("osv/Go", c.from, c.before...)
				w.start(full(), nil)
				w.planned()
				w.updateAs("osv/Go", c.to, c.after...)
				w.planned()
				var notified []string
				for _, s := range w.sets() {
					notified = append(notified, said(w.rows(s.ID, ""))...)
				}
				slices.Sort(notified)
				require.Equal(t, c.notified, notified)

				set, err := w.db.Changes(t.Context(), clair.Since{Operation: first.Ref}, "", match.NewJudge().Certain)
				require.NoError(t, err)
				defer set.Close()
				var changes []clair.Notification
				for i, err := range set.Impacts {
					require.NoError(t, err)
					if n, ok := match.Notify(i); ok {
						for _, n.Manifest = range i.Manifests {
							changes = append(changes, n)
						}
					}
				}
				listed := said(changes)
				slices.Sort(listed)
				require.ElementsMatch(t, c.changes, listed)
			})
		})
	}
}
