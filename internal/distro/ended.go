package distro

import (
	"slices"
	"strings"
	"time"

	"oriel/clair"
)

// An end is the last day of a release: that of its longest support, such as
// Debian's LTS and Ubuntu's Expanded Security Maintenance, for which its feed
// still has advisories.
type end struct{ release, day string }

// ends are the ends of releases, by family. Each list names the vendor's page;
// the days are those that endoflife.date quotes from it, as of 2026-11-28.
// Nothing writes to it.
var ends = map[string][]end{
	// https://wiki.debian.org/LTS and https://wiki.debian.org/DebianReleases
	"debian": {
		{"3.0", "2006-06-30"}, {"3.1", "2008-03-31"}, {"4", "2010-02-15"}, {"5", "2012-02-06"}, {"6", "2016-02-29"},
		{"7", "2018-05-31"}, {"8", "2020-06-30"}, {"9", "2022-07-01"}, {"10", "2024-06-30"}, {"11", "2026-08-31"},
		{"12", "2028-06-30"}, {"13", "2030-06-30"},
	},
	// https://wiki.ubuntu.com/Releases and https://ubuntu.com/about/release-cycle
	"ubuntu": {
		{"12.04", "2019-04-26"}, {"14.10", "2015-07-23"}, {"15.04", "2016-02-04"}, {"15.10", "2016-07-28"},
		{"16.10", "2017-07-20"}, {"17.04", "2018-01-13"}, {"17.10", "2018-07-19"}, {"18.04", "2028-04-01"},
		{"18.10", "2019-07-18"}, {"19.04", "2020-01-23"}, {"19.10", "2020-07-06"}, {"20.04", "2030-04-02"},
		{"20.10", "2021-07-22"}, {"21.04", "2022-01-20"}, {"21.10", "2022-07-14"}, {"22.04", "2032-04-09"},
		{"22.10", "2023-07-20"}, {"23.04", "2024-01-20"}, {"23.10", "2024-07-12"}, {"24.04", "2036-05-31"},
		{"24.10", "2025-07-10"}, {"25.04", "2026-01-17"}, {"25.10", "2026-07-01"}, {"26.04", "2036-04-30"},
	},
	// https://alpinelinux.org/releases/
	"alpine": {
		{"3.0", "2016-05-01"}, {"3.1", "2016-11-01"}, {"3.2", "2017-05-01"}, {"3.3", "2017-11-01"}, {"3.4", "2018-05-01"},
		{"3.5", "2018-11-01"}, {"3.6", "2019-05-01"}, {"3.7", "2019-11-01"}, {"3.8", "2020-05-01"}, {"3.9", "2020-11-01"},
		{"3.10", "2021-05-01"}, {"3.11", "2021-11-01"}, {"3.12", "2022-05-01"}, {"3.13", "2022-11-01"}, {"3.14", "2023-05-01"},
		{"3.15", "2023-11-01"}, {"3.16", "2024-05-23"}, {"3.17", "2024-11-22"}, {"3.18", "2025-05-09"}, {"3.19", "2025-11-01"},
		{"3.20", "2026-04-01"}, {"3.21", "2026-11-01"}, {"3.22", "2027-05-01"}, {"3.23", "2027-11-01"},
	},
	// https://access.redhat.com/support/policy/updates/errata, with the Extended
	// Life Cycle Support add-on.
	"rhel": {
		{"4", "2017-03-31"}, {"5", "2020-11-30"}, {"6", "2024-06-30"}, {"7", "2028-06-30"}, {"8", "2032-05-31"}, {"9", "2035-05-31"},
	},
	// https://wiki.almalinux.org/release-notes/
	"almalinux": {{"8", "2029-03-01"}, {"9", "2032-05-31"}, {"10", "2035-05-31"}},
	// https://wiki.rockylinux.org/rocky/version/
	"rocky": {{"8", "2029-05-31"}, {"9", "2032-05-31"}},
	// https://www.oracle.com/a/ocom/docs/elsp-lifetime-069338.pdf, with extended support
	"ol": {{"6", "2024-12-01"}, {"7", "2028-06-30"}, {"8", "2032-07-31"}, {"9", "2034-06-30"}},
	// https://docs.fedoraproject.org/en-US/releases/eol/
	"fedora": {
		{"33", "2021-11-30"}, {"34", "2022-06-07"}, {"35", "2022-12-13"}, {"36", "2023-05-16"}, {"37", "2023-12-05"},
		{"38", "2024-05-21"}, {"39", "2024-11-26"}, {"40", "2025-05-13"}, {"41", "2025-12-15"}, {"42", "2026-05-13"}, {"43", "2026-12-09"},
	},
	// https://aws.amazon.com/blogs/aws/update-on-amazon-linux-ami-end-of-life/ and
	// https://aws.amazon.com/amazon-linux-2/faqs/
	"amzn": {{"2018.03", "2023-12-31"}, {"2", "2026-06-30"}},
	// https://www.suse.com/lifecycle, with Long Term Service Pack Support
	"sles": {
		{"11", "2010-12-31"}, {"11.1", "2015-08-30"}, {"11.2", "2017-01-30"}, {"11.3", "2019-01-30"}, {"11.4", "2022-03-31"},
		{"12", "2019-07-01"}, {"12.1", "2020-05-31"}, {"12.2", "2021-03-31"}, {"12.3", "2022-06-30"}, {"12.4", "2023-06-30"},
		{"12.5", "2027-10-31"}, {"15", "2022-12-31"}, {"15.1", "2024-01-31"}, {"15.2", "2024-12-31"}, {"15.3", "2025-12-31"},
		{"15.4", "2026-12-31"}, {"15.5", "2027-12-31"},
	},
	// https://en.opensuse.org/Lifetime
	"opensuse-leap": {
		{"42.1", "2017-05-17"}, {"42.2", "2018-01-26"}, {"42.3", "2019-07-01"}, {"15.0", "2019-12-03"}, {"15.1", "2021-02-02"},
		{"15.2", "2022-01-04"}, {"15.3", "2022-12-31"}, {"15.4", "2023-12-07"}, {"15.5", "2024-12-31"}, {"15.6", "2026-04-30"},
		{"16.0", "2027-10-31"},
	},
	// https://learn.microsoft.com/azure/azure-linux/release-cadence-lifecycle
	"mariner":    {{"1", "2023-08-31"}, {"2", "2025-07-31"}},
	"azurelinux": {{"3", "2027-08-31"}},
	// https://www.mageia.org/support/
	"mageia": {{"5", "2017-12-31"}, {"6", "2019-09-30"}, {"7", "2021-06-30"}, {"8", "2023-11-30"}},
}

// A removal is the releases of a family that its feed lists no longer.
type removal struct {
	feed     string
	releases []string
}

// removals are the releases that were taken out of their feeds after their
// ends. Nothing writes to it.
var removals = map[string]removal{
	// https://security-tracker.debian.org/tracker/data/json lists the releases
	// with security support, LTS included; ELTS has a tracker of its own.
	"debian": {"Debian's security tracker", []string{"3.0", "3.1", "4", "5", "6", "7", "8", "9", "10"}},
	// https://github.com/canonical/ubuntu-security-notices has the releases with
	// long-term support and the others until their end after nine months.
	"ubuntu": {"Canonical's feed", []string{
		"12.04", "14.10", "15.04", "15.10", "16.10", "17.04", "17.10", "18.10", "19.04", "19.10", "20.10",
		"21.04", "21.10", "22.10", "23.04", "23.10", "24.10", "25.04", "25.10",
	}},
}

// Ended returns the last day of a release, whose advisories those of a derived
// release are, as YYYY-MM-DD. It returns "" if the release has not ended or its
// end is not known.
func (r Release) Ended(now time.Time) string {
	family, number := r.parent()
	for _, e := range ends[family] {
		if e.release == number && e.day < now.UTC().Format(time.DateOnly) {
			return e.day
		}
	}
	return ""
}

// RemovedFromFeed returns a sentence about the removal of an ended release from
// its feed, "" if it was not removed.
func (r Release) RemovedFromFeed(now time.Time) string {
	family, number := r.parent()
	gone := removals[family]
	if day := r.Ended(now); day != "" && slices.Contains(gone.releases, number) {
		return "The release ended on " + day + " and was removed from " + gone.feed + "."
	}
	return ""
}

// parent returns the family and number of the release whose advisories hold.
func (r Release) parent() (family, number string) {
	name := r.Of
	if name == "" {
		name = r.Platform
	}
	family, number, _ = strings.Cut(name, ":")
	return family, number
}

// Knows reports whether the distribution of a system is in the table, even if
// its release cannot be determined.
func Knows(d *clair.Distribution) bool {
	return d != nil && (familyNamed(d.DID) != nil || familyNamed(d.Name) != nil)
}
