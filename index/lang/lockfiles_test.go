package lang

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/index/reader"
)

// TestLockFiles reads small files of the formats, each in all encodings.
func TestLockFiles(t *testing.T) {
	sha := strings.Repeat("a", 40)
	sum := strings.Repeat("b", 64)
	for _, c := range []struct {
		name, path, text string
		want, unmatched  []string
	}{
		{"swift", "app/Package.resolved", `{"version":2,"pins":[
			{"identity":"a","kind":"remoteSourceControl","location":"https://github.com/Acme/a.git","state":{"revision":"x","version":"1.2.3"}},
			{"identity":"b","location":"git@github.com:acme/b.git","state":{"version":"2.0.0"}},
			{"identity":"c","location":"https://github.com/acme/c","state":{"revision":"abc","branch":"main"}}]}`,
			[]string{"swift github.com/Acme/a 1.2.3", "swift github.com/acme/b 2.0.0"}, []string{"github.com/acme/c abc"}},
		{"swift_version_1", "Package.resolved", `{"object":{"pins":[{"package":"A","repositoryURL":"ssh://git@github.com/acme/a","state":{"version":"1.0.0"}}]},"version":1}`,
			[]string{"swift github.com/acme/a 1.0.0"}, nil},
		{"dart", "pubspec.lock", "packages:\n  http:\n    dependency: \"direct main\"\n    description:\n      name: http\n      url: \"https://pub.dev\"\n    source: hosted\n    version: \"0.13.1\"\n" +
			"  own:\n    description:\n      path: \"../own\"\n    source: path\n    version: \"1.0.0\"\n  forked:\n    description:\n      url: \"https://github.com/acme/forked\"\n    source: git\n    version: \"2.0.0\"\n" +
			"  internal:\n    description:\n      url: \"https://pub.example.org\"\n    source: hosted\n    version: \"3.0.0\"\n  flutter:\n    source: sdk\n    version: \"0.0.0\"\nsdks:\n  dart: \">=2.12.0\"\n",
			[]string{"pub http 0.13.1"}, []string{"forked 2.0.0", "internal 3.0.0"}},
		{"elixir", "mix.lock", "%{\n  \"phoenix\": {:hex, :phoenix, \"1.5.0\", \"" + sum + "\", [:mix], [{:plug, \"~> 1.10\", [hex: :plug, repo: \"hexpm\", optional: false]}], \"hexpm\", \"" + sum + "\"},\n" +
			"  \"own\": {:hex, :own, \"0.1.0\", \"" + sum + "\", [:mix], [], \"hexpm:acme\", \"" + sum + "\"},\n  \"forked\": {:git, \"https://github.com/acme/forked.git\", \"abc\", []},\n}\n",
			[]string{"hex phoenix 1.5.0"}, []string{"own 0.1.0", "forked abc"}},
		{"r", "usr/local/lib/R/site-library/readxl/DESCRIPTION", "Package: readxl\nVersion: 1.0.0\nRepository: CRAN\nBuilt: R 4.3\n", []string{"cran readxl 1.0.0"}, nil},
		{"r_base", "usr/lib/R/library/stats/DESCRIPTION", "Package: stats\nVersion: 4.3.1\nPriority: base\n", nil, nil},
		{"r_other", "usr/lib/R/library/own/DESCRIPTION", "Package: own\nVersion: 0.1\n", nil, []string{"own 0.1"}},
		{"renv", "renv.lock", `{"Packages":{"readxl":{"Package":"readxl","Version":"1.0.0","Source":"Repository","Repository":"CRAN"},"own":{"Package":"own","Version":"0.1","Source":"GitHub"}}}`,
			[]string{"cran readxl 1.0.0"}, []string{"own 0.1"}},
		{"julia", "Manifest.toml", "manifest_format = \"2.0\"\n[[deps.HTTP]]\ngit-tree-sha1 = \"a\"\nuuid = \"u\"\nversion = \"1.0.0\"\n[[deps.Dates]]\nuuid = \"v\"\n[[deps.Own]]\ngit-tree-sha1 = \"b\"\nuuid = \"w\"\nversion = \"0.1.0\"\nrepo-url = \"https://example.org/own\"\n",
			[]string{"julia HTTP 1.0.0"}, []string{"Own 0.1.0"}},
		{"julia_version_1", "Manifest.toml", "[[HTTP]]\ngit-tree-sha1 = \"a\"\nuuid = \"u\"\nversion = \"0.9.0\"\n", []string{"julia HTTP 0.9.0"}, nil},
		{"julia_something_else", "Manifest.toml", "[package]\nname = \"x\"\n", nil, nil},
		{"dotnet", "app/Shop.deps.json", `{"runtimeTarget":{"name":".NETCoreApp,Version=v8.0/linux-x64"},"libraries":{
			"Shop/1.0.0":{"type":"project","serviceable":false},"Newtonsoft.Json/12.0.3":{"type":"package","sha512":"sha512-x"},
			"runtimepack.Microsoft.NETCore.App.Runtime.linux-x64/8.0.1":{"type":"runtimepack"},"Own/1.0.0.0":{"type":"reference"},"broken":{"type":"package"}}}`,
			[]string{"nuget Newtonsoft.Json 12.0.3", "nuget Microsoft.NETCore.App.Runtime.linux-x64 8.0.1"}, nil},
		{"conan", "conan.lock", `{"version":"0.5","requires":["openssl/1.1.1k#rev%1.0","own/1.0@acme/stable#rev"]}`, []string{"conan openssl 1.1.1k"}, []string{"own 1.0"}},
		{"conan_version_1", "conan.lock", `{"graph_lock":{"nodes":{"0":{"ref":"app"},"1":{"ref":"zlib/1.2.11#rev"}}}}`, []string{"conan zlib 1.2.11"}, nil},
		{"cocoapods", "Podfile.lock", "PODS:\n  - AFNetworking/NSURLSession (4.0.1):\n    - AFNetworking/Reachability\n  - \"GoogleUtilities/NSData+zlib (7.5.2)\"\n\nDEPENDENCIES:\n  - AFNetworking (~> 4.0)\n",
			[]string{"cocoapods AFNetworking/NSURLSession 4.0.1", "cocoapods GoogleUtilities/NSData+zlib 7.5.2"}, nil},
		{"cabal", "cabal.project.freeze", "active-repositories: hackage.haskell.org:merge\nconstraints: any.aeson ==2.0.3.0,\n             aeson -bytestring-builder,\n             any.base ==4.16.0.0\n",
			[]string{"hackage aeson 2.0.3.0", "hackage base 4.16.0.0"}, nil},
		{"stack", "stack.yaml.lock", "packages:\n- completed:\n    hackage: acme-missiles-0.3@sha256:abc,613\n  original:\n    hackage: acme-missiles-0.3@sha256:abc,613\n", []string{"hackage acme-missiles 0.3"}, nil},
		{"actions", ".github/workflows/ci.yml", "jobs:\n  a:\n    steps:\n      - uses: actions/checkout@v4\n      - uses: 'github/codeql-action/init@v2'\n      - uses: ./own\n      - uses: tj-actions/changed-files@" + sha + " # v40.0.0\n      - name: x\n        uses: acme/x@" + sha + "\n",
			[]string{"github-actions actions/checkout v4", "github-actions github/codeql-action v2", "github-actions tj-actions/changed-files v40.0.0"}, []string{"acme/x " + sha}},
	} {
		for encoding, text := range map[string]string{"utf8": c.text, "mark": "\ufeff" + c.text, "crlf": strings.ReplaceAll(c.text, "\n", "\r\n")} {
			t.Run(c.name+"_"+encoding, func(t *testing.T) {
				got, unmatched := readFile(t, c.path, text)
				require.Equal(t, c.want, got)
				require.Equal(t, c.unmatched, unmatched)
			})
		}
	}
}

// readFile runs the first reader that wants a path.
func readFile(t *testing.T, path, text string) (packages, unmatched []string) {
	t.Helper()
	list := Readers()
	i := slices.IndexFunc(list, func(r reader.Reader) bool { return r.Wants(path, 0o644) })
	require.GreaterOrEqual(t, i, 0)
	out := &reader.Found{}
	require.NoError(t, list[i].Run(t.Context(), &reader.File{Path: path, Size: int64(len(text)), ReaderAt: strings.NewReader(text)}, out))
	for _, p := range out.Packages {
		packages = append(packages, list[i].Repository+" "+p.Name+" "+p.Version)
	}
	for _, u := range out.Unmatched {
		unmatched = append(unmatched, u.Package+" "+u.Version)
	}
	return packages, unmatched
}

// TestLockFiles_Malformed gives every reader texts that are cut off or of another
// kind: the error is an ErrInvalid, if there is one.
func TestLockFiles_Malformed(t *testing.T) {
	for name, text := range map[string]string{"empty": "", "brace": "{", "list": "[]", "text": "hello: {:hex", "long": strings.Repeat("a", 2<<20), "nested": strings.Repeat("[", 5000)} {
		for _, r := range Readers() {
			t.Run(name+"_"+r.Name, func(t *testing.T) {
				out := &reader.Found{Owned: func(string) {}, Private: func(_, _ string) {}}
				if err := r.Run(t.Context(), &reader.File{Path: "x/y/z", Size: int64(len(text)), ReaderAt: strings.NewReader(text)}, out); err != nil {
					require.ErrorIs(t, err, clair.ErrInvalid)
				}
				require.Empty(t, out.Packages)
			})
		}
	}
}
