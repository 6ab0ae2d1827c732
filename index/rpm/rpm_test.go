package rpm

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	rpmdb "github.com/erikvarga/go-rpmdb/pkg"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite" // the other reader's

	"oriel/clair"
	"oriel/index/reader"
	"oriel/index/reader/readertest"
)

// realRPM lists the real databases that come with the other reader.
func realRPM(t testing.TB) []string {
	t.Helper()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/erikvarga/go-rpmdb").Output()
	require.NoError(t, err)
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(dir)), "pkg", "testdata", "*", "*"))
	require.NoError(t, err)
	if len(files) == 0 {
		t.Skip("the other reader's databases are not there")
	}
	return files
}

func TestRPM_SameAsOtherReader(t *testing.T) {
	for _, name := range realRPM(t) {
		t.Run(filepath.Base(filepath.Dir(name)), func(t *testing.T) {
			db, err := rpmdb.Open(name)
			require.NoError(t, err)
			defer db.Close()
			list, err := db.ListPackages()
			require.NoError(t, err)
			var want []string
			for _, p := range list {
				if p.Name == "gpg-pubkey" {
					continue
				}
				epoch := ""
				if p.Epoch != nil && *p.Epoch != 0 {
					epoch = fmt.Sprint(*p.Epoch, ":")
				}
				want = append(want, strings.Join([]string{p.Name, epoch + p.Version + "-" + p.Release, p.Arch, ModuleStream(p.Modularitylabel), p.SourceRpm}, " "))
			}
			b, err := os.ReadFile(name)
			require.NoError(t, err)
			got, err := readertest.Read(t, Reader(), "var/lib/rpm/"+filepath.Base(name), b)
			require.NoError(t, err)
			require.Equal(t, sorted(want), rpmLines(got))
		})
	}
}

// rpmLines writes packages as the other reader has them.
func rpmLines(list []clair.Package) []string {
	var out []string
	for _, p := range list {
		src := ""
		if p.Source != nil {
			v := p.Source.Version
			if _, after, ok := strings.Cut(v, ":"); ok {
				v = after
			}
			src = p.Source.Name + "-" + v + ".src.rpm"
		}
		out = append(out, strings.Join([]string{p.Name, p.Version, p.Arch, p.Module, src}, " "))
	}
	return sorted(out)
}

func sorted(s []string) []string { slices.Sort(s); return s }

func TestRPM_PublishedLists(t *testing.T) {
	lists := map[string]string{
		"centos5-plain": "CentOS5Plain", "centos6-plain": "CentOS6Plain", "centos6-devtools": "CentOS6DevTools",
		"centos7-plain": "CentOS7Plain", "centos7-devtools": "CentOS7DevTools", "centos7-httpd24": "CentOS7Httpd24",
		"centos7-python35": "CentOS7Python35", "centos8-modularitylabel": "CentOS8Modularitylabel",
		"fedora35": "Fedora35WithSQLite3", "fedora35-plus-mongo": "Fedora35PlusMongoDBWithSQLite3",
		"sle15-bci": "SLE15WithNDB", "ubi8-s390x": "UBI8s390x",
	}
	for _, name := range realRPM(t) {
		list, ok := lists[filepath.Base(filepath.Dir(name))]
		if !ok {
			continue
		}
		t.Run(list, func(t *testing.T) {
			var want []string
			for line := range strings.Lines(string(readertest.Corpus(t, "inventories", "rpm", "rpmdb-"+list+".tsv.gz"))) {
				f := strings.Split(strings.TrimRight(line, "\n"), "\t")
				if strings.HasPrefix(line, "#") || f[0] == "gpg-pubkey" {
					continue
				}
				version := f[2] + "-" + f[3]
				if f[1] != "" && f[1] != "0" {
					version = f[1] + ":" + version
				}
				want = append(want, strings.Join([]string{f[0], version, f[4], ModuleStream(f[7]), f[5]}, " "))
			}
			b, err := os.ReadFile(name)
			require.NoError(t, err)
			got, err := readertest.Read(t, Reader(), "var/lib/rpm/x", b)
			require.NoError(t, err)
			require.Equal(t, sorted(want), rpmLines(got))
		})
	}
}

// TestRPM_Damaged cuts and corrupts small real databases of all three
// formats: whatever is wrong is an error or harmless, never more.
func TestRPM_Damaged(t *testing.T) {
	for _, name := range realRPM(t) {
		b, err := os.ReadFile(name)
		require.NoError(t, err)
		if len(b) > 4<<20 {
			continue
		}
		whole, err := readertest.Read(t, Reader(), "x", b)
		require.NoError(t, err)
		for _, cut := range []int{0, 1, 16, 40, 100, 512, 4095, 4096, len(b) / 2, len(b) - 4096} {
			_, err := readertest.Read(t, Reader(), "x", b[:cut])
			require.ErrorIs(t, err, clair.ErrInvalid, "%s cut at %d", name, cut)
		}
		for i := range 60 {
			bad := slices.Clone(b)
			// Fixed places, near the structures at the start of pages.
			at := (i * 7919 * 131) % len(bad)
			at -= at % 4096
			at += (i * 13) % 64
			binary.LittleEndian.PutUint32(bad[min(at, len(bad)-4):], uint32(i)*2654435761)
			got, err := readertest.Read(t, Reader(), "x", bad)
			if err == nil {
				require.LessOrEqual(t, len(got), len(whole)+1)
			}
		}
	}
}

func TestRPM_CirclesEnd(t *testing.T) {
	// A table of two pages whose overflow page leads to itself.
	page := make([]byte, 3*512)
	le := binary.LittleEndian
	le.PutUint32(page[12:], berkeleyMagic)
	le.PutUint32(page[20:], 512)
	page[25] = berkeleyMeta
	le.PutUint32(page[32:], 2)
	le.PutUint16(page[512+20:], 2)
	page[512+25] = berkeleySorted
	le.PutUint16(page[512+28:], 100)
	page[512+100] = berkeleyOffPage
	le.PutUint32(page[512+104:], 2)
	le.PutUint32(page[512+108:], 1<<20)
	page[1024+25] = berkeleyOverflow
	le.PutUint32(page[1024+16:], 2)
	_, err := readertest.Read(t, Reader(), "x", page)
	require.ErrorIs(t, err, clair.ErrInvalid)
}

func FuzzRPM(f *testing.F) {
	f.Add([]byte(sqliteMagic + strings.Repeat("\x00", 600)))
	f.Add([]byte("RpmP" + strings.Repeat("\x00", 4096)))
	f.Fuzz(func(t *testing.T, b []byte) {
		out := &reader.Found{Owned: func(string) {}, Private: func(_, _ string) {}}
		_ = parseRPM(context.Background(), &reader.File{Path: "x", Size: int64(len(b)), ReaderAt: bytes.NewReader(b)}, out)
	})
}

func TestRPM_BerkeleyOfOnePackage(t *testing.T) {
	got, err := readertest.Read(t, Reader(), rpmPaths[0], readertest.Corpus(t, "inventories", "rpm", "libuuid-bdb-Packages.gz"))
	require.NoError(t, err)
	require.Len(t, got, 1)
	require.Equal(t, "libuuid", got[0].Name)
}
