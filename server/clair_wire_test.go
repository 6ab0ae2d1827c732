package server_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
)

// wireReport is a report with the parts that Clair's own programs read.
type wireReport struct {
	Packages map[string]struct {
		Name    string
		Version string
		Kind    string
		Norm    string `json:"normalized_version"`
		Source  *struct{ ID, Name, Version, Kind *string }
	}
}

func (w world) wireReport(path string) wireReport {
	w.Helper()
	a := w.do("GET", path, "")
	require.Equal(w, http.StatusOK, a.StatusCode, a.body)
	var r wireReport
	require.NoError(w, json.Unmarshal([]byte(a.body), &r))
	require.NotEmpty(w, r.Packages)
	return r
}

// requireClairWire requires what Clair's matcher and notifier need of a report:
// claircore dereferences the source of every package (querybuilder.go), and its
// matcher for Python filters by the normalized version and looks up the name of
// PEP 503.
func (w world) requireClairWire(r wireReport, python, norm string) {
	w.Helper()
	found := false
	for id, p := range r.Packages {
		require.NotNil(w, p.Source, "the source of package %s, %s", id, p.Name)
		require.NotNil(w, p.Source.ID)
		require.NotNil(w, p.Source.Name)
		require.NotNil(w, p.Source.Version)
		if p.Name == python {
			found = true
			require.Equal(w, norm, p.Norm)
		}
	}
	require.True(w, found, "no package %s in %v", python, r.Packages)
}

// However a report enters, Clair's own programs can read it, and the response to
// a request that stores it equals what later requests get.
func TestClairWire(t *testing.T) {
	const norm = "pep440:0.2.5.1.0.0.-1.2.0.0"
	report := indexReport(func(r map[string]any) {
		r["packages"].(map[string]any)["1"] = map[string]any{"id": "1", "name": "Flask_SQLAlchemy", "version": "2.5.1rc2", "kind": "binary"}
	})
	cyclonedx := `{"bomFormat":"CycloneDX","specVersion":"1.5","version":1,"components":[
		{"type":"library","name":"Flask_SQLAlchemy","version":"2.5.1rc2","purl":"pkg:pypi/Flask_SQLAlchemy@2.5.1rc2"},
		{"type":"library","name":"lodash","version":"4.17.20","purl":"pkg:npm/lodash@4.17.20"},
		{"type":"library","name":"bash","version":"5.1","purl":"pkg:rpm/fedora/bash@5.1?distro=fedora-40"}]}`
	w, reg := newWorld(t), newRegistry(t)
	l := reg.add(layer(t, "etc/os-release", osRelease, "lib/apk/db/installed", apk("musl", "1.2.3-r0"),
		"usr/lib/python3/site-packages/Flask_SQLAlchemy-2.5.1rc2.dist-info/METADATA", "Metadata-Version: 2.1\nName: Flask_SQLAlchemy\nVersion: 2.5.1rc2\n\n"), "")
	for _, c := range []struct {
		name, method, path, body, media string
	}{
		{"index_report", "PUT", iRep + hashA, report, ""},
		{"put_sbom", "PUT", iRep + hashA, cyclonedx, "application/vnd.cyclonedx+json"},
		{"post_sbom", "POST", iPost, cyclonedx, "application/vnd.cyclonedx+json"},
		{"layers", "POST", iPost, reg.manifest(hashB, l), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := w
			w.T = t
			w.update("feed", row("PYSEC-1", "pypi", "flask-sqlalchemy", "fixed=3.0"))
			stored := w.do(c.method, c.path, c.body, "Content-Type", c.media)
			require.Contains(t, []int{200, 201}, stored.StatusCode, stored.body)
			path := stored.Header.Get("Location")
			require.JSONEq(t, stored.body, w.do("GET", path, "").body)
			w.requireClairWire(w.wireReport(path), "flask-sqlalchemy", norm)
			path = strings.Replace(path, iRep, vRep, 1)
			w.requireClairWire(w.wireReport(path), "flask-sqlalchemy", norm)
			require.Contains(t, w.do("GET", path, "").body, "PYSEC-1")
		})
	}
}

// A report that an earlier version stored is served as one that is stored now.
func TestClairWire_StoredEarlier(t *testing.T) {
	w := newWorld(t)
	w.update("feed", row("PYSEC-1", "pypi", "flask-sqlalchemy", "fixed=3.0"))
	_, err := w.db.PutIndexReport(t.Context(), &clair.IndexReport{
		Hash: hashA, State: clair.StateIndexFinished, Success: true,
		Packages:      map[string]*clair.Package{"1": {ID: "1", Name: "Flask_SQLAlchemy", Version: "2.5.1rc2"}},
		Distributions: map[string]*clair.Distribution{},
		Repositories:  map[string]*clair.Repository{"r": {ID: "r", Name: "pypi"}},
		Environments:  map[string][]clair.Environment{"1": {{PackageDB: "x", IntroducedIn: hashA, RepositoryIDs: []string{"r"}}}},
	})
	require.NoError(t, err)
	for _, path := range []string{iRep, vRep} {
		w.requireClairWire(w.wireReport(path+hashA), "flask-sqlalchemy", "pep440:0.2.5.1.0.0.-1.2.0.0")
	}
}
