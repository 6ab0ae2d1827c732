package index

import (
	"archive/tar"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
)

func file(name, body string) entry   { return entry{name: name, body: body} }
func hard(name, target string) entry { return entry{name: name, kind: tar.TypeLink, link: target} }
func symlink(name, target string) entry {
	return entry{name: name, kind: tar.TypeSymlink, link: target}
}

const (
	objectA = "sysroot/ostree/repo/objects/a2/1.file"
	objectB = "sysroot/ostree/repo/objects/c3/2.file"
)

// places lists a report's packages, each with the file it was found in and
// the release of its distribution.
func places(r *clair.IndexReport) []string {
	out := []string{}
	for id, p := range r.Packages {
		for _, e := range r.Environments[id] {
			line := p.Name + " " + e.PackageDB
			if d := r.Distributions[e.DistributionID]; d != nil {
				line += " " + d.DID + ":" + d.VersionID
			}
			out = append(out, line)
		}
	}
	return sorted(out)
}

// TestLinks reads images whose files are reached by other names than their
// own.
func TestLinks(t *testing.T) {
	const (
		apk     = "P:musl\nV:1.2\n\n"
		release = "ID=alpine\nVERSION_ID=3.20.1\n"
		pkg     = `{"name":"a","version":"1.0.0"}`
		meta    = "Name: b\nVersion: 2.0\n"
	)
	for _, c := range []struct {
		name      string
		layers    [][]entry
		want      []string
		unmatched string
	}{
		{"hard_links_into_an_object_store", [][]entry{{
			file(objectA, release), file(objectB, apk), hard("usr/lib/os-release", objectA), symlink("etc/os-release", "../usr/lib/os-release"),
			hard("lib/apk/db/installed", objectB),
		}}, []string{"musl lib/apk/db/installed alpine:3.20.1"}, ""},
		{"hard_link_before_its_target", [][]entry{{
			file("etc/os-release", release), hard("lib/apk/db/installed", objectB), file(objectB, apk),
		}}, []string{"musl lib/apk/db/installed alpine:3.20.1"}, ""},
		{"hard_link_into_a_lower_layer", [][]entry{
			{file(objectA, release), file(objectB, apk)},
			{hard("etc/os-release", objectA), hard("lib/apk/db/installed", objectB)},
		}, []string{"musl " + objectB + " alpine:3.20.1"}, ""},
		{"hard_link_that_a_later_layer_deletes", [][]entry{
			{file("etc/os-release", release), file(objectB, apk)},
			{hard("lib/apk/db/installed", objectB)},
			{file("lib/apk/db/.wh.installed", "")},
		}, []string{}, ""},
		{"hard_link_whose_target_a_later_layer_deletes", [][]entry{
			{file("etc/os-release", release), file(objectB, apk), hard("lib/apk/db/installed", objectB)},
			{file("sysroot/.wh.ostree", "")},
		}, []string{"musl lib/apk/db/installed alpine:3.20.1"}, ""},
		{"hard_link_that_a_file_replaces", [][]entry{{
			file(objectB, apk), hard("lib/apk/db/installed", objectB), file("lib/apk/db/installed", "P:other\nV:1\n\n"), file("etc/os-release", release),
		}}, []string{"other lib/apk/db/installed alpine:3.20.1"}, ""},
		{"packages_of_a_store", [][]entry{{
			file("store/v3/files/00/abc", pkg), hard("app/node_modules/a/package.json", "store/v3/files/00/abc"),
			file("cache/b-2.0.dist-info/METADATA", meta), hard("venv/b-2.0.dist-info/METADATA", "cache/b-2.0.dist-info/METADATA"),
		}, {file(".wh.cache", "")}}, []string{"a app/node_modules/a/package.json", "b venv/b-2.0.dist-info/METADATA"}, ""},
		{"directory_that_is_a_link", [][]entry{{
			file("etc/os-release", debianRelease), file("opt/db/status", "Package: x\nVersion: 1\n"), symlink("var/lib/dpkg", "/opt/db"),
		}}, []string{"x opt/db/status debian:12"}, ""},
		{"link_to_a_link", [][]entry{{
			symlink("etc/os-release", "static/os"), symlink("etc/static", "../store/1"), file("store/1/os", release),
			symlink("lib", "usr/lib"), symlink("usr/lib/apk", "../../data/apk"), file("data/apk/db/installed", apk),
		}}, []string{"musl data/apk/db/installed alpine:3.20.1"}, ""},
		{"link_to_another_layer", [][]entry{
			{file("data/status", "Package: x\nVersion: 1\n"), file("os", debianRelease)},
			{symlink("var/lib/dpkg", "../../data"), symlink("etc/os-release", "/os")},
		}, []string{"x data/status debian:12"}, ""},
		{"sysimage", [][]entry{{
			file("etc/os-release", debianRelease), file("usr/lib/sysimage/dpkg/status", "Package: x\nVersion: 1\n"),
			symlink("var/lib/dpkg", "../../usr/lib/sysimage/dpkg"),
		}}, []string{"x usr/lib/sysimage/dpkg/status debian:12"}, ""},
		{"directory_that_became_a_link", [][]entry{
			{file("etc/os-release", debianRelease), file("var/lib/dpkg/status", "Package: x\nVersion: 1\n"), file("srv/node_modules/a/package.json", pkg)},
			{symlink("var/lib/dpkg", "../../usr/share/dpkg/database"), file("usr/share/dpkg/database/status", "Package: x\nVersion: 2\n"), symlink("srv/node_modules", "/x")},
		}, []string{"x usr/share/dpkg/database/status debian:12"}, ""},
		{"database_that_became_a_link", [][]entry{
			{file("etc/os-release", release), file("lib/apk/db/installed", apk)},
			{symlink("lib/apk/db/installed", "../../../x"), file("x", "P:other\nV:1\n\n")},
		}, []string{"other x alpine:3.20.1"}, ""},
		{"link_that_became_a_directory", [][]entry{
			{file("etc/os-release", debianRelease), symlink("var/lib/dpkg", "/old"), file("old/status", "Package: x\nVersion: 1\n")},
			{file("var/lib/.wh.dpkg", ""), file("var/lib/dpkg/status", "Package: y\nVersion: 1\n"), file(".wh.old", "")},
		}, []string{"y var/lib/dpkg/status debian:12"}, "old/status"},
		{"whiteout_of_a_replaced_directory", [][]entry{
			{file("etc/os-release", debianRelease), file("var/lib/dpkg/status", "Package: x\nVersion: 1\n")},
			{file("var/lib/dpkg/status", "Package: y\nVersion: 1\n"), file("var/lib/.wh.dpkg", "")},
		}, []string{"y var/lib/dpkg/status debian:12"}, ""},
		{"deleted_database", [][]entry{
			{file("etc/os-release", debianRelease), file("var/lib/dpkg/status", "Package: x\nVersion: 1\n"), file("srv/node_modules/a/package.json", pkg)},
			{file("var/lib/.wh.dpkg", "")},
		}, []string{"a srv/node_modules/a/package.json"}, "var/lib/dpkg/status"},
		{"overlayfs_whiteout", [][]entry{
			{file("etc/os-release", debianRelease), file("var/lib/dpkg/status", "Package: x\nVersion: 1\n")},
			{{name: "var/lib/dpkg/status", kind: tar.TypeChar}},
		}, []string{}, "var/lib/dpkg/status"},
		{"database_without_release", [][]entry{{file("lib/apk/db/installed", apk)}}, []string{"musl lib/apk/db/installed"}, "lib/apk/db/installed"},
		{"circles", [][]entry{{
			symlink("etc/os-release", "os-release"), symlink("var/lib/dpkg", "../dpkg"), symlink("var/dpkg", "lib/dpkg"),
			hard("lib/apk/db/installed", "lib/apk/db/installed"), hard("usr/lib/apk/db/installed", "x"), hard("x", "usr/lib/apk/db/installed"),
		}}, []string{}, ""},
		{"links_out_of_the_image", [][]entry{{
			symlink("etc/os-release", "../../../../../../etc/hostname"), hard("lib/apk/db/installed", "../../../etc/passwd"),
			symlink("var/lib/dpkg", "/../../../var/lib/dpkg"), symlink("usr/lib/os-release", strings.Repeat("../a/", 2000)),
		}}, []string{}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			layers := make([][]byte, len(c.layers))
			for i, l := range c.layers {
				layers[i] = makeTar(t, l...)
			}
			in, err := ReadInput(t.Context(), write(t, "x", dockerSave(t, layers...)), InputOptions{})
			require.NoError(t, err)
			require.Equal(t, c.want, places(in.Report))
			checkReport(t, in.Report)
			if c.unmatched == "" {
				require.Empty(t, in.Report.Unmatched)
			} else {
				require.Len(t, in.Report.Unmatched, 1)
				require.Equal(t, c.unmatched, in.Report.Unmatched[0].Package)
			}
		})
	}
}

// TestLinks_Fetched follows a link into another layer over HTTP, where the
// layers are fetched once more.
func TestLinks_Fetched(t *testing.T) {
	lower := makeTar(t, file(objectB, "P:musl\nV:1.2\n\n"), file("etc/os-release", "ID=alpine\nVERSION_ID=3.20.1\n"))
	upper := makeTar(t, hard("lib/apk/db/installed", objectB))
	for name, layers := range map[string][][]byte{"two_layers": {lower, upper}, "one_layer": {makeTar(t,
		file(objectB, "P:musl\nV:1.2\n\n"), file("etc/os-release", "ID=alpine\nVERSION_ID=3.20.1\n"), hard("lib/apk/db/installed", objectB))}} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, layerHandler(layers), nil)
			m := &clair.Manifest{Hash: digest([]byte(name))}
			for _, l := range layers {
				m.Layers = append(m.Layers, clair.Layer{Hash: digest(l), URI: r.url + "/" + string(digest(l))})
			}
			report, err := r.Index(t.Context(), m)
			require.NoError(t, err)
			require.Len(t, report.Packages, 1)
			require.Len(t, report.Distributions, 1)
			checkReport(t, report)
		})
	}
}

// TestScanRoot_Links reads a root directory with links, and with directories
// that are not the host's own.
func TestScanRoot_Links(t *testing.T) {
	root := t.TempDir()
	put := func(name, body string) {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(root, name), []byte(body), 0o644))
	}
	link := func(name, target string) {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755))
		require.NoError(t, os.Symlink(target, filepath.Join(root, name)))
	}
	put("store/os", debianRelease)
	link("etc/os-release", "/store/os")
	put("data/dpkg/status", "Package: x\nVersion: 1\n")
	link("var/lib/dpkg", "/moved/dpkg")
	link("moved", "data")
	link("lib/apk", "../../../../../../../../tmp")
	put("srv/site-packages/own-1.dist-info/METADATA", "Name: own\nVersion: 1\n")
	for i, dir := range []string{
		"var/lib/docker/overlay2/abc/diff", "var/lib/containers/storage/overlay/x/diff", "snap/core20/1", ".snapshots/1/snapshot",
		"var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/7/fs", "home/u/.local/share/containers/storage/overlay/x",
	} {
		put(dir+"/site-packages/other-1.dist-info/METADATA", fmt.Sprintf("Name: other%d\nVersion: 1\n", i))
	}
	in, err := ReadInput(t.Context(), root, InputOptions{})
	require.NoError(t, err)
	require.Equal(t, []string{"own srv/site-packages/own-1.dist-info/METADATA", "x data/dpkg/status debian:12"}, places(in.Report))
}
