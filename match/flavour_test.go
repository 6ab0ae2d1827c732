package match_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/match"
)

// Packages of Ubuntu's streams with advisories of their own are listed, since a
// report has no findings for them.
func TestCoverer_Coverage_UbuntuStreams(t *testing.T) {
	const pocket = "whose advisories are not read"
	for _, tt := range []struct {
		name, did string
		pkg       clair.Package
		want      bool
	}{
		{"fips", "ubuntu", clair.Package{Name: "libssl3", Version: "3.0.2-0ubuntu1.10+Fips1"}, true},
		{"realtime", "ubuntu", clair.Package{Name: "linux-image-5.15.0-1053-realtime", Version: "5.15.0-1053.60", Source: &clair.Package{Name: "linux-signed-realtime"}}, true},
		{"plain", "ubuntu", clair.Package{Name: "libssl3", Version: "3.0.2-0ubuntu1.10"}, false},
		{"oracle", "ol", clair.Package{Name: "gnutls", Version: "10:3.6.16-4.0.1.el8_fips"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := &match.Coverer{
				Holdings: newStore(t),
				Feeds:    func(context.Context) (clair.Feeds, error) { return nil, nil },
			}
			got, err := c.Coverage(t.Context(), &clair.IndexReport{
				Packages:      map[string]*clair.Package{"1": &tt.pkg},
				Distributions: map[string]*clair.Distribution{"1": {DID: tt.did, VersionID: "22.04"}},
				Environments:  map[string][]clair.Environment{"1": {{DistributionID: "1"}}},
			})
			require.NoError(t, err)
			if !tt.want {
				require.Empty(t, got.Unmatched)
				return
			}
			require.Len(t, got.Unmatched, 1)
			require.Equal(t, tt.pkg.Name, got.Unmatched[0].Package)
			require.Contains(t, got.Unmatched[0].Reason, pocket)
		})
	}
}
