package match

import (
	"regexp"
	"slices"
	"strings"

	"oriel/clair"
)

// A flavour is a stream of packages that have the names of the plain ones and
// other versions, such as those built for FIPS. The version of a package shows
// its flavour, and that of the fix the advisory's: one is not about the other.

// flavours are the words in versions that name a flavour: "1.1.1k-6.el8_fips",
// "2.28-151.0.1.ksplice2.el8", "1.1.1f-1ubuntu2.fips.7.1". Nothing writes to it.
var flavours = []string{"fips", "ksplice"}

// flavourOf returns the flavour of a version, "" for the plain one.
func flavourOf(version string) string {
	version = strings.ToLower(version)
	for _, f := range flavours {
		if strings.Contains(version, f) {
			return f
		}
	}
	return ""
}

// sameFlavour reports whether an advisory is about the flavour of a package. An
// advisory without a fix is about all.
func sameFlavour(v *clair.Vulnerability, t *target) bool {
	return v.FixedInVersion == "" || v.FixedInVersion == "0" || flavourOf(v.FixedInVersion) == flavourOf(t.Package.Version)
}

// kernelVersion is the stream of a kernel: the first two numbers after the epoch.
var kernelVersion = regexp.MustCompile(`^(?:[0-9]+:)?([0-9]+\.[0-9]+)\.`)

// isKernel reports whether a package is part of a kernel.
func isKernel(name string) bool {
	return strings.HasPrefix(name, "kernel") || slices.Contains([]string{"perf", "python-perf", "python3-perf", "bpftool"}, name)
}

// sameKernel reports whether an advisory is about the stream of a kernel. It is
// for releases with several streams under one name: Amazon Linux 2 has kernels
// 4.14, 5.4, 5.10 and 5.15, and Oracle Linux several of the UEK. A fix in one
// says nothing of another.
func sameKernel(v *clair.Vulnerability, t *target) bool {
	own, fixed := kernelVersion.FindStringSubmatch(t.Package.Version), kernelVersion.FindStringSubmatch(v.FixedInVersion)
	return own == nil || fixed == nil || own[1] == fixed[1]
}

// oracleAffected is modularAffected for the flavours and kernels of Oracle.
func oracleAffected(v *clair.Vulnerability, t *target) (bool, error) {
	if !sameFlavour(v, t) || strings.HasPrefix(t.key.Name, "kernel-uek") && !sameKernel(v, t) {
		return false, nil
	}
	return modularAffected(v, t)
}

// streamNumber is the number at the end of the name of a stream: "php8.2".
var streamNumber = regexp.MustCompile(`[0-9]+(\.[0-9]+)*$`)

// sameExtra reports whether an advisory for one of the extras of Amazon Linux 2,
// which its feed names as the module, is about the stream of a package. Extras
// have packages with the names of the core's and of each other's:
// "8.2.9-1.amzn2" is of php8.2, and "5.4.16-46.amzn2" of the core.
func sameExtra(v *clair.Vulnerability, t *target) bool {
	number := streamNumber.FindString(v.Package.Module)
	return number == "" || !inStream(v.FixedInVersion, number) || inStream(t.Package.Version, number)
}

// inStream reports whether a version begins with the number of a stream.
func inStream(version, stream string) bool {
	if epoch, rest, ok := strings.Cut(version, ":"); ok && strings.Trim(epoch, "0123456789") == "" {
		version = rest
	}
	return version == stream || strings.HasPrefix(version, stream+".") || strings.HasPrefix(version, stream+"-")
}

// amazonAffected is rpmAffected for the kernels and extras of Amazon Linux 2. The
// first Amazon Linux updated its kernel from stream to stream.
func amazonAffected(v *clair.Vulnerability, t *target) (bool, error) {
	if t.Dist.VersionID == "2" && !sameExtra(v, t) {
		return false, nil
	}
	if t.Dist.VersionID == "2" && isKernel(t.key.Name) && !sameKernel(v, t) {
		return false, nil
	}
	return rpmAffected(v, t)
}

// UbuntuStreams returns the packages of Ubuntu's FIPS and real-time streams.
// Canonical writes advisories of their own for them, which are not read, so that
// a fix in the plain release says nothing of them.
func UbuntuStreams(index *clair.IndexReport) []clair.Unmatched {
	var out []clair.Unmatched
	seen := map[string]bool{}
	for id, r := range index.Records() {
		if r.Dist == nil || r.Dist.DID != "ubuntu" || r.Repo != nil && r.Repo.Name != "" || seen[id] {
			continue
		}
		stream := ""
		switch {
		case flavourOf(r.Package.Version) == "fips":
			stream = "FIPS"
		case strings.HasSuffix(r.Package.Name, "-realtime"):
			stream = "real-time"
		default:
			continue
		}
		seen[id] = true
		p := index.Packages[id]
		out = append(out, clair.Unmatched{
			Package: p.Name, Version: p.Version, Reason: "it is of Ubuntu's " + stream + " stream, whose advisories are not read",
		})
	}
	slices.SortFunc(out, func(a, b clair.Unmatched) int {
		return strings.Compare(a.Package+" "+a.Version, b.Package+" "+b.Version)
	})
	return out
}
