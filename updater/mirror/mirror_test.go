package mirror

import (
	"bytes"
	"encoding/json"
	"oriel/clair"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func FuzzGroupLines(f *testing.F) {
	const ref = "7c2e3fe0-3a3f-4b9a-9a77-5f1c1e6f0a01"
	first := `{"Updater":"a","Fingerprint":"one","Date":"2026-01-01T00:00:00Z","Ref":"` + ref + `","Vuln":{"name":"CVE-1","package":{"name":"p"}},"Kind":"vulnerability"}` + "\n"
	f.Add([]byte(first + first))
	f.Add([]byte(first[:99]))
	f.Add([]byte(`{"Updater":"a","Ref":"` + ref + `"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		all, err := groupLines(bytes.NewReader(b))
		if err != nil {
			return
		}
		require.NotEmpty(t, all)
		at := int64(0)
		for _, g := range all {
			require.LessOrEqual(t, at, g.from)
			require.Less(t, g.from, g.to)
			require.NotEmpty(t, g.fp)
			at = g.to
			d := json.NewDecoder(bytes.NewReader(b[g.from:g.to]))
			for d.More() {
				var l line
				require.NoError(t, d.Decode(&l))
				require.Equal(t, g.ref, l.Ref)
			}
		}
	})
}

func FuzzReadDiff(f *testing.F) {
	const operation = `{"ref":"7c2e3fe0-3a3f-4b9a-9a77-5f1c1e6f0a01","updater":"a","fingerprint":"one","date":"2026-01-01T00:00:00Z"}`
	good := `{"prev":` + operation + `,"cur":` + operation + `,"added":[{"id":"1","name":"A","package":{"name":"p"},"fixed_in_version":"1"},null,{}],"removed":null,"more":[{}]}`
	for _, s := range []string{good, good[:100], "", "[]", "{}", `{"added":[{"package":{"name":"a"},"issued":7}]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for c, err := range readDiff(strings.NewReader(string(b))) {
			if err == nil {
				require.True(t, c.Added != nil && c.Added.Name != "" || c.Removed != nil || c.Replaced != "")
			}
		}
	})
}

func TestReadDiff_Bounded(t *testing.T) {
	long := strings.NewReader(`{"more":"` + strings.Repeat("x", maxRemoteRecord+1) + `"}`)
	_, err := readWholeDiff(long, func(clair.Change, error) bool { return true })
	require.ErrorIs(t, err, clair.ErrTooLarge)
}
