package match

import (
	"regexp"
	"strings"

	"oriel/clair"
)

// fixedAffected is the rule of Debian and Alpine: without a fixed version all
// versions are affected, and with "0" none is.
func fixedAffected(v *clair.Vulnerability, t *target) (bool, error) {
	if v.FixedInVersion == "0" {
		return false, nil
	}
	return beforeFix(v, t)
}

// ubuntuAffected takes "0", as Clair does, for a vulnerability without a fix.
func ubuntuAffected(v *clair.Vulnerability, t *target) (bool, error) {
	if v.FixedInVersion == "0" {
		return true, nil
	}
	if !sameFlavour(v, t) {
		return false, nil
	}
	return beforeFix(v, t)
}

// rpmAffected is beforeFix for packages whose architecture fits.
func rpmAffected(v *clair.Vulnerability, t *target) (bool, error) {
	if !archFits(v, t.Package.Arch) {
		return false, nil
	}
	return beforeFix(v, t)
}

// beforeFix compares with the fixed version, or else the last version that the
// advisory knows to be affected; without either all versions are affected. Rows
// of feeds that say more have bounds, which no version of a distribution can be
// mistaken for.
func beforeFix(v *clair.Vulnerability, t *target) (bool, error) {
	switch {
	case strings.Contains(v.FixedInVersion, "="):
		return boundsAffected(v, t)
	case v.FixedInVersion != "":
		c, err := t.compare(t.fix(v.FixedInVersion))
		return err == nil && c < 0, err
	case v.Package.Version != "":
		c, err := t.compare(v.Package.Version)
		return err == nil && c <= 0, err
	}
	return true, nil
}

// fix returns a fixed version as it is compared with the target's: without the
// hash of a module's build, and without an epoch if the target is the source of
// an RPM whose version has none, since the names of source files have no epoch.
func (t *target) fix(version string) string {
	version = withoutContext(version)
	if t.rpm() && t.key.Kind == clair.Source && !strings.Contains(t.Package.Version, ":") {
		if _, rest, ok := strings.Cut(version, ":"); ok {
			return rest
		}
	}
	return version
}

// modularAffected is rpmAffected for distributions with modules, whose streams
// have packages of the same names: an advisory for one stream is not about
// another, nor about a package outside of modules. Some feeds and inventories
// name no stream, but the version shows whether there is one.
func modularAffected(v *clair.Vulnerability, t *target) (bool, error) {
	own, theirs := t.Package.Module, v.Package.Module
	if own != "" && theirs != "" && own != theirs {
		return false, nil
	}
	// The version of an advisory without a fix shows nothing.
	if v.FixedInVersion != "" || theirs != "" {
		if inModule(own, t.Package.Version) != inModule(theirs, v.FixedInVersion) {
			return false, nil
		}
	}
	return rpmAffected(v, t)
}

func inModule(stream, version string) bool {
	return stream != "" || strings.Contains(version, ".module")
}

// rhelAffected compares the CPE of the repository, and then as rpmAffected.
func rhelAffected(v *clair.Vulnerability, t *target) (bool, error) {
	if !t.products.fit(v.Repo) {
		return false, nil
	}
	return rpmAffected(v, t)
}

// rhccAffected judges a container image as a package.
func rhccAffected(v *clair.Vulnerability, t *target) (bool, error) {
	if t.Repo.Name != clair.GoldRepository && !t.products.fit(v.Repo) {
		return false, nil
	}
	if v.Range != nil {
		in, err := inRange(v.Range, t)
		if err != nil || !in {
			return false, err
		}
	}
	if v.FixedInVersion == "" {
		return true, nil
	}
	c, err := t.compare(v.FixedInVersion)
	return err == nil && c < 0, err
}

// moduleContext ends the release of a package that was built in a module:
// "12.module+el8.10.0+23147+95b68fad". One build of a module is made for each
// stream of its dependencies, under one number and with a hash for each.
var moduleContext = regexp.MustCompile(`(\.module[+_][^+]+\+[0-9]+)\+[0-9a-f]{8}$`)

// withoutContext removes the hash, which has no order: a package is not older
// because the hash of another build is greater.
func withoutContext(fixed string) string {
	if !strings.Contains(fixed, ".module") {
		return fixed
	}
	return moduleContext.ReplaceAllString(fixed, "$1")
}

// archFits compares an advisory's architecture with a package's.
func archFits(v *clair.Vulnerability, arch string) bool {
	want := v.Package.Arch
	switch {
	case want == "" || v.ArchOperation == "":
		return true
	case arch == "":
		return false
	}
	switch v.ArchOperation {
	case clair.ArchEquals:
		return arch == want
	case clair.ArchNotEquals:
		return arch != want
	case clair.ArchPattern:
		return archMatches(want, arch)
	}
	return false
}

// archMatches looks for a regular expression anywhere in the architecture.
// Nearly all are lists such as "aarch64|x86_64", which need no compiling.
func archMatches(pattern, arch string) bool {
	if !strings.ContainsAny(pattern, `\.+*?()[]{}^$`) {
		for alt := range strings.SplitSeq(pattern, "|") {
			if strings.Contains(arch, alt) {
				return true
			}
		}
		return false
	}
	re, err := regexp.Compile(pattern)
	return err == nil && re.MatchString(arch)
}
