package index

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestScan_Origins reads packages that come from elsewhere than the public
// registry of their ecosystem: they are listed, but not matched.
func TestScan_Origins(t *testing.T) {
	const crates = `version = 3
[[package]]
name = "a"
version = "1.0.0"
source = "SOURCE"
`
	meta := file("v/site-packages/a-1.0.dist-info/METADATA", "Name: a\nVersion: 1.0\n")
	direct := func(text string) entry { return file("v/site-packages/a-1.0.dist-info/direct_url.json", text) }
	lock := func(text string) []entry { return []entry{file("app/package-lock.json", text)} }
	php := func(text string) []entry {
		return []entry{file("app/composer.lock", `{"packages":[{"name":"v/a","version":"v1.0.0"`+text+`}]}`)}
	}
	for _, c := range []struct {
		name      string
		files     []entry
		matched   string
		unmatched string
	}{
		{"npm_registry", lock(`{"packages":{"node_modules/a":{"version":"1.0.0","resolved":"https://registry.npmjs.org/a/-/a-1.0.0.tgz"}}}`), "a 1.0.0", ""},
		{"npm_mirror", lock(`{"packages":{"node_modules/a":{"version":"1.0.0","resolved":"https://registry.yarnpkg.com/a/-/a-1.0.0.tgz#abc"}}}`), "a 1.0.0", ""},
		{"npm_proxy", lock(`{"packages":{"node_modules/a":{"version":"1.0.0","resolved":"https://repo.example.org/api/npm/npm-remote/a/-/a-1.0.0.tgz"}}}`), "a 1.0.0", ""},
		{"npm_private_registry", lock(`{"packages":{"node_modules/a":{"version":"1.0.0","resolved":"https://npm.example.org/a/-/a-1.0.0.tgz"}}}`), "", "a 1.0.0"},
		{"npm_git", lock(`{"packages":{"node_modules/a":{"version":"1.0.0","resolved":"git+ssh://git@example.org/a.git#abc"}}}`), "", "a 1.0.0"},
		{"npm_file", lock(`{"packages":{"node_modules/a":{"version":"1.0.0","resolved":"file:../a.tgz"}}}`), "", "a 1.0.0"},
		{"npm_link", lock(`{"packages":{"node_modules/a":{"resolved":"lib/a","link":true}}}`), "", ""},
		{"npm_alias", lock(`{"packages":{"node_modules/old-a":{"name":"a","version":"1.0.0"}}}`), "a 1.0.0", ""},
		{"npm_alias_in_version_1", lock(`{"dependencies":{"old-a":{"version":"npm:a@1.0.0"}}}`), "a 1.0.0", ""},
		{"npm_scoped_alias_in_version_1", lock(`{"dependencies":{"old-a":{"version":"npm:@s/a@1.0.0"}}}`), "@s/a 1.0.0", ""},
		{"npm_git_in_version_1", lock(`{"dependencies":{"a":{"version":"git+https://example.org/a.git#abc","from":"x"}}}`), "", "a git+https://example.org/a.git#abc"},
		{"npm_github_in_version_1", lock(`{"dependencies":{"a":{"version":"github:x/a#abc"}}}`), "", "a github:x/a#abc"},
		{"npm_file_in_version_1", lock(`{"dependencies":{"a":{"version":"file:a.tgz"}}}`), "", "a file:a.tgz"},
		{"npm_shrinkwrap", []entry{file("app/npm-shrinkwrap.json", `{"packages":{"node_modules/a":{"version":"1.0.0"}}}`)}, "a 1.0.0", ""},
		{"npm_installed_from_git", []entry{
			file("app/node_modules/a/package.json", `{"name":"a","version":"1.0.0"}`),
			file("app/node_modules/.package-lock.json", `{"packages":{"node_modules/a":{"version":"1.0.0","resolved":"git+https://example.org/a.git"}}}`),
		}, "", "a 1.0.0"},
		{"npm_installed_by_an_old_version_from_git", []entry{
			file("app/node_modules/a/package.json", `{"name":"a","version":"1.0.0","_resolved":"git+https://example.org/a.git#abc"}`),
		}, "", "a 1.0.0"},
		{"cargo_registry", []entry{file("Cargo.lock", strings.Replace(crates, "SOURCE", "registry+https://github.com/rust-lang/crates.io-index", 1))}, "a 1.0.0", ""},
		{"cargo_sparse", []entry{file("Cargo.lock", strings.Replace(crates, "SOURCE", "sparse+https://index.crates.io/", 1))}, "a 1.0.0", ""},
		{"cargo_git", []entry{file("Cargo.lock", strings.Replace(crates, "SOURCE", "git+https://github.com/x/a?rev=1#abc", 1))}, "", "a 1.0.0"},
		{"cargo_other_registry", []entry{file("Cargo.lock", strings.Replace(crates, "SOURCE", "sparse+https://cargo.example.org/index/", 1))}, "", "a 1.0.0"},
		{"cargo_with_bom", []entry{file("Cargo.lock", "\ufeff"+strings.Replace(crates, "SOURCE", "sparse+https://index.crates.io/", 1))}, "a 1.0.0", ""},
		{"pip_index", []entry{meta}, "a 1.0", ""},
		{"pip_wheel", []entry{meta, direct(`{"url":"file:///wheels/a-1.0-py3-none-any.whl","archive_info":{}}`)}, "a 1.0", ""},
		{"pip_git", []entry{meta, direct(`{"url":"https://u:p@example.org/a.git","vcs_info":{"vcs":"git"}}`)}, "", "a 1.0"},
		{"pip_directory", []entry{direct(`{"url":"file:///src/a","dir_info":{"editable":true}}`), meta}, "", "a 1.0"},
		{"composer_packagist", php(`,"source":{"type":"git","url":"https://github.com/v/a.git"},"notification-url":"https://packagist.org/downloads/"`), "v/a 1.0.0", ""},
		{"composer_without_source", php(""), "v/a 1.0.0", ""},
		{"composer_git", php(`,"source":{"type":"git","url":"https://github.com/fork/a.git"}`), "", "v/a 1.0.0"},
		{"composer_path", php(`,"dist":{"type":"path","url":"../a"}`), "", "v/a 1.0.0"},
		{"composer_private", php(`,"dist":{"type":"zip","url":"https://x"},"notification-url":"https://repo.example.org/downloads/"`), "", "v/a 1.0.0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := scan(t, makeTar(t, c.files...), defaultLimits())
			require.NoError(t, err)
			report, err := Coalesce(r.Layer, []*LayerResult{r})
			require.NoError(t, err)
			require.Equal(t, c.matched, strings.Join(names(report), ", "))
			var unmatched []string
			for _, u := range report.Unmatched {
				require.Contains(t, u.Reason, "not from the ecosystem's public registry")
				require.NotContains(t, u.Reason, "u:p@", "credentials")
				unmatched = append(unmatched, u.Package+" "+u.Version)
			}
			require.Equal(t, c.unmatched, strings.Join(unmatched, ", "))
		})
	}
}
