package reader

import (
	"net/url"
	"slices"
	"strings"
)

// registries are the hosts of the public registry of each ecosystem, and those
// of its well-known mirrors. Nothing writes to it.
var registries = map[string][]string{
	"npm": {
		"registry.npmjs.org", "registry.npmjs.com", "www.npmjs.com", "npmjs.com", "registry.yarnpkg.com", "registry.npmmirror.com",
		"registry.npm.taobao.org", "r.cnpmjs.org", "registry.nodejitsu.com",
	},
	"pypi":           {"pypi.org", "pypi.python.org", "files.pythonhosted.org", "mirrors.aliyun.com", "pypi.tuna.tsinghua.edu.cn"},
	"crates.io":      {"crates.io", "index.crates.io", "static.crates.io"},
	"rubygems":       {"rubygems.org", "index.rubygems.org", "api.rubygems.org"},
	"packagist":      {"packagist.org", "repo.packagist.org", "www.packagist.org", "packages.drupal.org", "wpackagist.org", "asset-packagist.org"},
	"maven":          {"repo.maven.apache.org", "repo1.maven.org", "repo1.maven.apache.org", "central.sonatype.com", "maven.google.com", "dl.google.com", "plugins.gradle.org", "repo.spring.io", "oss.sonatype.org", "jcenter.bintray.com"},
	"nuget":          {"nuget.org", "www.nuget.org", "api.nuget.org"},
	"go":             {"proxy.golang.org", "goproxy.io", "goproxy.cn", "pkg.go.dev"},
	"pub":            {"pub.dev", "pub.dartlang.org", "pub.flutter-io.cn"},
	"hex":            {"hex.pm", "repo.hex.pm"},
	"cran":           {"cran.r-project.org", "cloud.r-project.org", "cran.rstudio.com", "packagemanager.posit.co"},
	"hackage":        {"hackage.haskell.org"},
	"conan":          {"conan.io", "center.conan.io", "center2.conan.io"},
	"github-actions": {"github.com"},
	"swift":          {"github.com", "gitlab.com"},
	"cocoapods":      {"cdn.cocoapods.org", "trunk.cocoapods.org", "github.com"},
	"julia":          {"juliahub.com", "pkg.julialang.org", "github.com"},
}

// proxies are parts of addresses at which repository managers serve the
// public registry of an ecosystem. Nothing writes to it.
var proxies = []string{"npmjs", "npm-remote", "npm-proxy", "pypi-remote", "pypi-proxy", "pypi.org", "maven-central", "maven-remote", "crates-remote", "crates.io-index"}

// IsPublic reports whether an address is that of the public registry of an
// ecosystem, of a mirror or of a proxy of it, and not of a private registry,
// a version control system or a file. An ecosystem whose registry is not known
// has only public packages.
func IsPublic(ecosystem, address string) bool {
	hosts := registries[ecosystem]
	if hosts == nil || address == "" {
		return true
	}
	address = strings.TrimPrefix(strings.TrimPrefix(address, "registry+"), "sparse+")
	if !strings.Contains(address, "://") {
		address = "https://" + address
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" {
		return false
	}
	if slices.Contains(hosts, strings.ToLower(u.Hostname())) {
		return true
	}
	return slices.ContainsFunc(proxies, func(p string) bool { return strings.Contains(u.Path, p) })
}

// NotPublic returns the reason for which a package from an address other than
// the public registry cannot be matched.
func NotPublic(address string) string {
	if u, err := url.Parse(address); err == nil && u.User != nil {
		u.User = nil
		address = u.String()
	}
	return "it comes from " + Cut(address) + ", not from the ecosystem's public registry"
}
