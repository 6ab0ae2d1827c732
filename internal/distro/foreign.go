package distro

import (
	"strings"

	"oriel/clair"
)

// foreign are distributions whose packages are not those that they are derived
// from, with the parent that one might take them for. Nothing writes to it.
var foreign = map[string]string{
	"kali": "Debian", "devuan": "Debian", "parrot": "Debian", "deepin": "Debian", "uos": "Debian", "pureos": "Debian", "astra": "Debian",
	"anolis": "Red Hat Enterprise Linux", "openanolis": "Red Hat Enterprise Linux", "alinux": "Red Hat Enterprise Linux",
	"opencloudos": "Red Hat Enterprise Linux", "tencentos": "Red Hat Enterprise Linux", "cloudlinux": "Red Hat Enterprise Linux",
	"virtuozzo": "Red Hat Enterprise Linux", "nobara": "Fedora", "ubuntu-core": "Ubuntu",
}

// Foreign returns a sentence about a distribution that is not in the table.
func Foreign(d *clair.Distribution) string {
	if parent := foreign[strings.ToLower(d.DID)]; parent != "" {
		return "No feed is known for the distribution, and its packages are not those of " + parent + "."
	}
	return "No feed is known for the distribution."
}
