package distro

import (
	"strconv"
	"strings"
)

// Derivatives that install the packages of a release of another distribution
// unchanged are matched as that release. Which one it is follows from the code
// name in os-release (UBUNTU_CODENAME, DEBIAN_CODENAME), or else from the
// number. Other derivatives, such as Kali and Devuan, change packages, so that
// they have no parent and are not covered.

// parentByCodeName returns the release of Ubuntu or Debian with a code name.
func parentByCodeName(name string) string {
	for _, c := range codeNames {
		if (c.family == "ubuntu" || c.family == "debian") && strings.EqualFold(c.name, name) {
			return c.family + ":" + c.number
		}
	}
	return ""
}

// parentIn returns a function that looks a release up in a table if its code
// name is not known.
func parentIn(table map[string]string) func(number, codeName string) string {
	return func(number, codeName string) string {
		if parent := parentByCodeName(codeName); parent != "" {
			return parent
		}
		return table[number]
	}
}

// sameNumber is the parent of a derivative with the numbers of Ubuntu.
func sameNumber(number, codeName string) string {
	if parent := parentByCodeName(codeName); parent != "" {
		return parent
	}
	return "ubuntu:" + number
}

// coreOSParent returns the release of Red Hat Enterprise Linux that a CoreOS is
// made of: the code name "el9" that os-release leads to, or else by the release
// of OpenShift, which changed with 4.13
// (docs.openshift.com/container-platform/4.13/release_notes).
func coreOSParent(number, codeName string) string {
	if major, ok := strings.CutPrefix(codeName, "el"); ok {
		return "rhel:" + major
	}
	_, minor, _ := strings.Cut(number, ".")
	n, err := strconv.Atoi(minor)
	switch {
	case err != nil:
		return ""
	case n <= 12:
		return "rhel:8"
	}
	return "rhel:9"
}

// Numbers of derivatives and the releases they are made of. Nothing writes to
// them.
var (
	mintParents = map[string]string{
		"18": "ubuntu:16.04", "19": "ubuntu:18.04", "20": "ubuntu:20.04", "21": "ubuntu:22.04", "22": "ubuntu:24.04",
		// the edition made of Debian
		"3": "debian:9", "4": "debian:10", "5": "debian:11", "6": "debian:12", "7": "debian:13",
	}
	elementaryParents = map[string]string{"5": "ubuntu:18.04", "6": "ubuntu:20.04", "7": "ubuntu:22.04", "8": "ubuntu:24.04"}
	zorinParents      = map[string]string{"15": "ubuntu:18.04", "16": "ubuntu:20.04", "17": "ubuntu:22.04", "18": "ubuntu:24.04"}
)
