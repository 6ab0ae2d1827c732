package distro

import (
	"cmp"
	"oriel/clair"
	"strings"
)

// Release is one release of a distribution, identified by its Platform alone.
// All the ways in which feeds, systems, package URLs and scanners name the
// same release lead to the same value, so releases can be compared with ==.
//
// A release that is not in the table, such as next year's Debian, is made by
// its distribution's rule. Only unknown distributions are refused.
type Release struct {
	// Platform is the release's name for scanners: ID:VERSION with the version
	// as feeds have it, such as "debian:12", or the ID alone for a distribution
	// without releases, such as "wolfi".
	Platform string
	// Of is the platform of another distribution whose advisories hold for this
	// one, too, such as "rhel:7" for "centos:7"; "" if there is none.
	Of string
	// Scheme is the ordering of its packages' versions: "dpkg", "rpm" or
	// "apk".
	Scheme string
	// dist is the distribution as rows of vulnerabilities have it.
	dist clair.Distribution
}

// Distribution returns a copy of the distribution in rows of this release,
// with exactly the values that Clair's matchers compare.
func (r Release) Distribution() *clair.Distribution {
	d := r.dist
	return &d
}

// CodeName returns the release's code name, such as "bookworm", or "" if it
// has none.
func (r Release) CodeName() string { return r.dist.VersionCodeName }

// Accepts reports whether advisories for the release o hold on a system of the
// release r: whether it is the same one, or the one that r is derived from.
func (r Release) Accepts(o Release) bool {
	return o.Platform != "" && (o.Platform == r.Platform || o.Platform == r.Of)
}

// Orphaned reports whether the distribution is derived from another one and the
// release that this one is derived from is not known.
func (r Release) Orphaned() bool {
	id, _, _ := strings.Cut(r.Platform, ":")
	f := familyByID(id)
	return f != nil && f.parent != nil && r.Of == ""
}

// ReleaseOf finds the release of a system by the fields of its os-release, and
// that of a vulnerability by the distribution in its row.
func ReleaseOf(d *clair.Distribution) (Release, bool) {
	if d == nil {
		return Release{}, false
	}
	f := familyNamed(d.DID)
	// "opensuse" alone was the ID of Leap and of Tumbleweed.
	if named := familyNamed(d.Name); named != nil && (f == nil || d.DID == "opensuse") {
		f = named
	}
	if f == nil {
		return Release{}, false
	}
	r, ok := f.ofSystem(d)
	if ok && f.parent != nil {
		// os-release may name the parent of a release that is not in a table.
		_, number, _ := strings.Cut(r.Platform, ":")
		r.Of = f.parent(number, d.VersionCodeName)
	}
	return r, ok
}

// ofSystem returns the release of a system of the family.
func (f *family) ofSystem(d *clair.Distribution) (Release, bool) {
	if f.system != nil {
		if number := f.system(d); number != "" {
			return f.release(number)
		}
	}
	for _, version := range []string{d.VersionID, d.Version, d.VersionCodeName} {
		if r, ok := f.find(version); ok {
			return r, true
		}
	}
	return f.find("")
}

// ReleaseByName finds the release that a text names: a platform of a scanner
// ("ubuntu:22.04"), an ecosystem of OSV ("SUSE:Linux Enterprise Server 15
// SP5"), a feed's own words ("Oracle Linux 8"), the distro of a package URL
// ("alpine-3.18.4") or a code name alone ("bookworm").
func ReleaseByName(name string) (Release, bool) {
	if len(name) > maxReleaseName {
		return Release{}, false
	}
	if f, rest := familyOf(name); f != nil {
		return f.find(rest)
	}
	for _, c := range codeNames {
		if strings.EqualFold(c.name, strings.TrimSpace(name)) {
			return familyByID(c.family).release(c.number)
		}
	}
	return Release{}, false
}

// ID returns the ID of the distribution that a text names without a release,
// such as "rocky" for "Rocky Linux", or "".
func ID(name string) string {
	if len(name) > maxReleaseName {
		return ""
	}
	if f := familyNamed(name); f != nil {
		return f.id
	}
	return ""
}

// ReleaseByPURL finds the release by a package URL's namespace and its distro
// qualifier, either of which may be missing.
func ReleaseByPURL(namespace, distro string) (Release, bool) {
	if r, ok := ReleaseByName(distro); ok {
		return r, true
	}
	f, rest := familyOf(namespace)
	if f == nil || rest != "" || len(distro) > maxReleaseName {
		return Release{}, false
	}
	if r, ok := f.find(distro); ok {
		return r, true
	}
	// Canonical writes the archive together with the code name,
	// "esm-apps/xenial" or "trusty/esm". Other archives, such as "fips/xenial",
	// are other streams.
	a, b, _ := strings.Cut(distro, "/")
	switch {
	case strings.HasPrefix(a, "esm"):
		return f.find(b)
	case strings.HasPrefix(b, "esm"):
		return f.find(a)
	}
	return Release{}, false
}

// ReleaseByCPE finds the release that a CPE of a vendor's repository belongs
// to, in the URI or the formatted form: "cpe:/o:redhat:rhel_eus:9.2::baseos"
// belongs to "rhel:9", and so does "cpe:/a:redhat:openshift:4.13::el9". It
// finds none for products that name no release.
func ReleaseByCPE(cpe string) (Release, bool) {
	rest, formatted := strings.CutPrefix(cpe, "cpe:2.3:")
	if !formatted {
		rest, formatted = strings.CutPrefix(cpe, "cpe:/")
	}
	part := strings.Split(rest, ":")
	if !formatted || len(part) < 3 {
		return Release{}, false
	}
	if part[1] != "redhat" {
		return ReleaseByName(strings.Join(part[2:min(len(part), 5)], ":"))
	}
	if r, ok := ReleaseByName(strings.Join(part[1:min(len(part), 4)], ":")); ok {
		return r, true
	}
	if len(part) < 6 {
		return Release{}, false
	}
	number, ok := strings.CutPrefix(strings.TrimLeft(part[5], "~"), "el")
	if !ok {
		return Release{}, false
	}
	return familyByID("rhel").find(number)
}

// maxReleaseName limits the length of a name; real ones are far shorter.
const maxReleaseName = 256

// separators are the characters between the words of a release's name.
const separators = " \t:-_/."

func trimSeparators(s string) string { return strings.Trim(s, separators) }

// familyOf finds the distribution whose alias the text begins with, the
// longest alias first, and returns the rest of the text.
func familyOf(text string) (*family, string) {
	var found *family
	var rest string
	longest := 0
	for i := range families {
		for _, alias := range families[i].aliases {
			if len(alias) <= longest {
				continue
			}
			if after, ok := cutWords(text, alias); ok {
				found, rest, longest = &families[i], after, len(alias)
			}
		}
	}
	return found, rest
}

// familyNamed finds the distribution that a text names and nothing else.
func familyNamed(text string) *family {
	f, rest := familyOf(text)
	if trimSeparators(rest) != "" {
		return nil
	}
	return f
}

// cutWords cuts a prefix spelled without separators from a text that may have
// some, without regard to case. The prefix must end where a word does.
func cutWords(text, prefix string) (string, bool) {
	i := 0
	for j := 0; j < len(prefix); i++ {
		if i == len(text) {
			return "", false
		}
		c := text[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c == prefix[j] {
			j++
		} else if j == 0 || strings.IndexByte(separators, c) < 0 {
			return "", false
		}
	}
	if i < len(text) && isLetter(text[i]) {
		return "", false
	}
	return text[i:], true
}

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func familyByID(id string) *family {
	for i := range families {
		if families[i].id == id {
			return &families[i]
		}
	}
	return nil
}

// find reads what follows the distribution's name as one of its releases.
func (f *family) find(rest string) (Release, bool) {
	rest = trimSeparators(rest)
	if f.number == nil {
		// A rolling distribution: the number of a system is the day of its
		// image.
		return f.release("")
	}
	for _, c := range codeNames {
		if c.family == f.base() && strings.EqualFold(c.name, rest) {
			return f.release(c.number)
		}
	}
	number := f.number(rest)
	if number == "" {
		return Release{}, false
	}
	return f.release(number)
}

// base is the family whose code names this one uses.
func (f *family) base() string {
	if f.of != "" {
		return f.of
	}
	return f.id
}

// release makes the release of a number that feeds use.
func (f *family) release(number string) (Release, bool) {
	if f.moved != nil {
		if id := f.moved(number); id != "" {
			return familyByID(id).release(number)
		}
	}
	r := Release{Platform: f.id, Scheme: f.scheme}
	if number != "" {
		r.Platform += ":" + number
	}
	switch {
	case f.of != "":
		r.Of = f.of + ":" + number
	case f.parent != nil:
		r.Of = f.parent(number, "")
	}
	r.dist = f.dist(number)
	r.dist.DID = cmp.Or(f.did, f.id)
	r.dist.Name = cmp.Or(r.dist.Name, f.name)
	r.dist.VersionCodeName = cmp.Or(r.dist.VersionCodeName, codeName(f.base(), number))
	return r, true
}
