package redhat

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/internal/feed/feedtest"
	"oriel/internal/purl"
)

func TestVEX(t *testing.T) {
	archive := feedtest.ArchiveOf(t, "2022/cve-2022-0778.json", string(feedtest.Fixture(t, "redhat", "cve-2022-0778.json")))
	found, skipped, err := feedtest.Collect(ParseArchive(bytes.NewReader(archive)))
	require.NoError(t, err)
	require.Empty(t, skipped)
	require.Equal(t, []string{
		"rhel:6[rhel-cpe-repository cpe:2.3:o:redhat:enterprise_linux:6:*:*:*:*:*:*:*] CVE-2022-0778 source:openssl High",
		"rhel:8[rhel-cpe-repository cpe:2.3:o:redhat:enterprise_linux:8:*:baseos:*:*:*:*:*] CVE-2022-0778 binary:openssl-libs" +
			" <1:1.1.1k-6.el8_5 pattern match(aarch64|x86_64) High",
	}, found)
	for v := range ParseArchive(bytes.NewReader(archive)) {
		require.Equal(t, "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H", v.Severity)
		require.Equal(t, time.Date(2022, 3, 15, 16, 0, 0, 0, time.UTC), v.Issued)
		require.Contains(t, v.Description, "A flaw was found in OpenSSL")
		if v.FixedInVersion != "" {
			require.Contains(t, v.Links, "https://access.redhat.com/errata/RHSA-2022:1065")
		}
	}
}

// TestVEX_Archive has archives whose documents are at fault, and archives
// that are at fault themselves.
func TestVEX_Archive(t *testing.T) {
	good := string(feedtest.Fixture(t, "redhat", "cve-2022-0778.json"))
	deleted := strings.Replace(good, `"status":"final"`, `"status":"deleted"`, 1)
	archive := feedtest.ArchiveOf(t, "2022/cve-2022-0001.json", good, "2022/cve-2022-0002.json", good[:900], "index.txt", "hello",
		"2022/cve-2022-0003.json", `{"document":{"tracking":{"id":7}}}`, "2022/cve-2022-0778.json", good)
	found, skipped, err := feedtest.Collect(ParseArchive(bytes.NewReader(archive)))
	require.NoError(t, err)
	require.Len(t, skipped, 3, "another's document, a cut one and one of the wrong type: %q", skipped)
	require.Len(t, found, 2)

	found, skipped, err = feedtest.Collect(ParseArchive(bytes.NewReader(feedtest.ArchiveOf(t, "2022/cve-2022-0778.json", deleted))))
	require.NoError(t, err)
	require.Empty(t, skipped)
	require.Empty(t, found)

	for n := range len(archive) - 1024 {
		if n%97 == 0 {
			_, _, err := feedtest.Collect(ParseArchive(bytes.NewReader(archive[:n])))
			require.Error(t, err, "cut at byte %d", n)
		}
	}
	_, _, err = feedtest.Collect(ParseArchive(bytes.NewReader(feedtest.ArchiveOf(t, "README", "nothing here"))))
	require.ErrorIs(t, err, clair.ErrInvalid)
}

func TestVEX_Delta(t *testing.T) {
	doc := string(feedtest.Fixture(t, "redhat", "cve-2022-0778.json"))
	old := strings.ReplaceAll(doc, "1.1.1k-6.el8_5?", "1.1.1k-5.el8_5?")
	other := strings.ReplaceAll(doc, "CVE-2022-0778", "CVE-2022-9999")
	gone := strings.ReplaceAll(doc, "CVE-2022-0778", "CVE-2022-8888")
	head, err := manifestOf(vexDelta{Whole: true, Fresh: []string{"CVE-2022-0778"}, Deleted: []string{"CVE-2022-8888"}, Missing: []string{"CVE-2022-7777"}})
	require.NoError(t, err)
	var fresh bytes.Buffer
	w := tar.NewWriter(&fresh)
	require.NoError(t, addFile(w, "2022/cve-2022-0778.json", strings.NewReader(doc), int64(len(doc))))
	archive := feedtest.ArchiveOf(t, "2022/cve-2022-8888.json", gone, "2022/cve-2022-0778.json", old, "2022/cve-2022-9999.json", other)

	delta, all, err := openVEX(io.MultiReader(bytes.NewReader(head), &fresh, bytes.NewReader(archive)))
	require.NoError(t, err)
	require.True(t, delta.Whole)
	found, skipped, err := feedtest.Collect(all.rows())
	require.NoError(t, err)
	require.Len(t, skipped, 1, "the missing one is counted")
	require.Len(t, found, 4, "the fresh document and the other one: %q", found)
	require.False(t, slices.ContainsFunc(found, func(s string) bool { return strings.Contains(s, "el8_5 ") && strings.Contains(s, "k-5.") }))
}

func TestReadVEXChanges(t *testing.T) {
	read := func(text string) (list []vexChange, err error) {
		for c, err := range readVEXChanges(strings.NewReader(text)) {
			if err != nil {
				return list, err
			}
			list = append(list, c)
		}
		return list, nil
	}
	list, err := read("\"2026/cve-2026-2673.json\",\"2026-03-25T12:33:38+00:00\"\n2021/cve-2021-0084.json,2021-08-26T00:59:54+00:00\n")
	require.NoError(t, err)
	require.Equal(t, []vexChange{
		{"2026/cve-2026-2673.json", time.Date(2026, 3, 25, 12, 33, 38, 0, time.UTC)},
		{"2021/cve-2021-0084.json", time.Date(2021, 8, 26, 0, 59, 54, 0, time.UTC)},
	}, list)
	require.Equal(t, "CVE-2026-2673", vexName(list[0].Path))
	for _, bad := range []string{"a.json", "a.json,yesterday", "../a.json,2021-08-26T00:59:54Z", "/a.json,2021-08-26T00:59:54Z", "http://x/a.json,2021-08-26T00:59:54Z",
		"a/../../b.json,2021-08-26T00:59:54Z", "a.exe,2021-08-26T00:59:54Z", "a.json?x,2021-08-26T00:59:54Z", "\"a.json,2021-08-26T00:59:54Z"} {
		_, err := read(bad)
		require.Error(t, err, bad)
	}
}

// A product's package URL gives its module and, of a container, its name.
func TestProductURLs(t *testing.T) {
	p, err := purl.Parse("pkg:rpm/redhat/perl-FCGI@0.78-11.module%2Bel8.6.0%2B23193%2B83e23a7a.1?arch=src&epoch=1&rpmmod=perl-FCGI:0.78:8060020250604201935:513b2a65")
	require.NoError(t, err)
	require.Equal(t, []string{"rpm", "redhat", "perl-FCGI", "0.78-11.module+el8.6.0+23193+83e23a7a.1"}, []string{p.Type, p.Namespace, p.Name, p.Version})
	module, err := moduleOf(p.Qualifiers.Get("rpmmod"))
	require.NoError(t, err)
	require.Equal(t, "perl-FCGI:0.78", module)
	p, err = purl.Parse("pkg:oci/cephcsi-rhel8@sha256:7c3b?arch=amd64&repository_url=registry.redhat.io/odf4/cephcsi-rhel8&tag=4.9-164")
	require.NoError(t, err)
	require.Equal(t, "odf4/cephcsi-rhel8", imageName(p))
	require.Equal(t, "sha256:7c3b", p.Version)
	p, err = purl.Parse("pkg:oci/openshift4/ose-hyperkube")
	require.NoError(t, err)
	require.Equal(t, "openshift4/ose-hyperkube", imageName(p))
	for _, bad := range []string{"", "pkg:", "pkg:rpm", "pkg:rpm/", "rpm/a", "pkg:rpm/a%zz", "pkg:rpm/a?%zz"} {
		_, err := purl.Parse(bad)
		require.ErrorIs(t, err, clair.ErrInvalid, bad)
	}
}

func TestTagRange(t *testing.T) {
	require.Equal(t, &clair.Range{Lower: "rhctag:4.8.0.0.0.0.0.0.0.0", Upper: "rhctag:4.8.2147483647.0.0.0.0.0.0.0"}, tagRange("v4.8.0-202112140553.p0", false))
	require.Equal(t, &clair.Range{Lower: "rhctag:0.0.0.0.0.0.0.0.0.0", Upper: "rhctag:4.7.2147483647.0.0.0.0.0.0.0"}, tagRange("4.7-140.49a6fcf.release_4.7", true))
	require.Equal(t, &clair.Range{Lower: "rhctag:0.0.0.0.0.0.0.0.0.0", Upper: "rhctag:2147483647.0.0.0.0.0.0.0.0.0"}, tagRange("", true))
	require.Nil(t, tagRange("latest", false))
}

// TestCorpus_VEX reads the archive of real documents.
func TestCorpus_VEX(t *testing.T) {
	f, err := os.Open(feedtest.CorpusFiles(t, "redhat-vex/csaf_vex_*.tar.zst")[0])
	require.NoError(t, err)
	defer f.Close()
	z, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1))
	require.NoError(t, err)
	defer z.Close()
	raw, err := io.ReadAll(z)
	require.NoError(t, err)

	n, skipped, heap, err := feedtest.Count(t, ParseArchive(bytes.NewReader(raw)))
	require.NoError(t, err)
	want := naiveVEX(t, raw)
	t.Logf("%d rows, %d skipped, %d KiB held", n, skipped, heap>>10)
	require.Equal(t, want, n)
	require.Zero(t, skipped)
	require.Less(t, heap, uint64(feedtest.MaxHeap))
}

// naiveVEX counts the rows of an archive by plain maps: for each document, the
// distinct (platform's CPE, package, module, version, what is said of it)
// among fixed packages and the same without a version among affected ones.
func naiveVEX(t *testing.T, raw []byte) int {
	t.Helper()
	total := 0
	for r := tar.NewReader(bytes.NewReader(raw)); ; {
		_, err := r.Next()
		if errors.Is(err, io.EOF) {
			return total
		}
		require.NoError(t, err)
		var doc map[string]any
		if json.NewDecoder(r).Decode(&doc) != nil {
			continue
		}
		tree := naiveTree{map[string]map[string]any{}, map[string][2]string{}}
		tree.visit(doc["product_tree"])
		helper, relation := tree.helper, tree.relation
		for _, v := range doc["vulnerabilities"].([]any) {
			status, _ := v.(map[string]any)["product_status"].(map[string]any)
			rows := map[string]bool{}
			for _, kind := range []string{"fixed", "known_affected"} {
				ids, _ := status[kind].([]any)
				for _, id := range ids {
					rel, ok := relation[id.(string)]
					if !ok {
						continue
					}
					url, _ := helper[rel[0]]["purl"].(string)
					cpe, _ := helper[rel[1]]["cpe"].(string)
					if !strings.HasPrefix(url, "pkg:oci/") && !strings.HasPrefix(url, "pkg:rpm/redhat/") || cpe == "" {
						continue
					}
					p, err := purl.Parse(url)
					require.NoError(t, err)
					arch := p.Qualifiers.Get("arch")
					if kind == "fixed" && (arch == "src" || arch == "source") {
						continue
					}
					mod := p.Qualifiers.Get("rpmmod")
					if parts := strings.Split(mod, ":"); len(parts) > 2 {
						mod = parts[0] + ":" + parts[1]
					}
					key := []string{kind, cpe, p.Type, imageName(p), mod}
					if kind == "fixed" {
						key = append(key, p.Version, p.Qualifiers.Get("epoch"), p.Qualifiers.Get("tag"), remediation(v, id.(string)))
						if p.Type == "oci" {
							key[5] = ""
						}
					}
					rows[strings.Join(key, "|")] = true
				}
			}
			total += len(rows)
		}
	}
}

// remediation is the erratum that fixed a product.
func remediation(v any, id string) string {
	list, _ := v.(map[string]any)["remediations"].([]any)
	for _, r := range list {
		r := r.(map[string]any)
		ids, _ := r["product_ids"].([]any)
		if r["category"] == "vendor_fix" && slices.Contains(ids, any(id)) {
			url, _ := r["url"].(string)
			return url
		}
	}
	return ""
}

// naiveTree has what a product tree says of products by their ids.
type naiveTree struct {
	helper   map[string]map[string]any
	relation map[string][2]string
}

func (n naiveTree) visit(x any) {
	switch x := x.(type) {
	case []any:
		for _, y := range x {
			n.visit(y)
		}
	case map[string]any:
		if h, ok := x["product_identification_helper"].(map[string]any); ok {
			n.helper[x["product_id"].(string)] = h
		}
		if p, ok := x["relates_to_product_reference"].(string); ok {
			n.relation[x["full_product_name"].(map[string]any)["product_id"].(string)] = [2]string{x["product_reference"].(string), p}
		}
		for _, y := range x {
			n.visit(y)
		}
	}
}
