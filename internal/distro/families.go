package distro

import (
	"oriel/clair"
	"regexp"
	"strings"
)

// family is one distribution, with everything that is needed to recognize its
// releases by any of their names.
type family struct {
	// id begins the platform; it is os-release's ID unless did is set.
	id, did string
	// name is os-release's NAME, as rows carry it.
	name   string
	scheme string
	// of is the id of the distribution that this one is rebuilt from.
	of string
	// parent returns the platform of the release whose packages a derivative
	// installs, by its number and code name; "" if it is not known.
	parent func(number, codeName string) string
	// aliases are its names in lower case without separators: IDs, NAMEs,
	// ecosystems of OSV, namespaces of package URLs.
	aliases []string
	// number returns the release in a text as feeds number it, or "" if the
	// text has none. It is nil for a distribution without releases.
	number func(string) string
	// system returns the number according to the fields of an os-release if
	// VERSION_ID alone is not enough; "" leaves it to the other rules.
	system func(*clair.Distribution) string
	// moved returns the family that releases of this number belong to, or ""
	// for this family.
	moved func(number string) string
	// dist returns the distribution of a release. An empty DID, NAME or code
	// name is filled in from the family.
	dist func(number string) clair.Distribution
}

// families is the table. Nothing writes to it.
var families = [...]family{
	{id: "alpine", name: "Alpine Linux", scheme: "apk", aliases: []string{"alpine", "alpinelinux"},
		number: alpineNumber, system: alpineSystem, dist: alpineDist},
	{id: "debian", name: "Debian GNU/Linux", scheme: "dpkg", aliases: []string{"debian", "debiangnulinux"},
		number: debianNumber, system: debianSystem, dist: debianDist},
	{id: "raspbian", name: "Raspbian GNU/Linux", scheme: "dpkg", of: "debian", aliases: []string{"raspbian", "raspbiangnulinux"},
		number: debianNumber, dist: plain("Raspbian GNU/Linux ")},
	{id: "ubuntu", name: "Ubuntu", scheme: "dpkg", aliases: []string{"ubuntu", "ubuntupro"},
		number: ubuntuNumber, dist: ubuntuDist},

	{id: "linuxmint", name: "Linux Mint", scheme: "dpkg", parent: parentIn(mintParents), aliases: []string{"linuxmint"},
		number: major, dist: plain("Linux Mint ")},
	{id: "pop", name: "Pop!_OS", scheme: "dpkg", parent: sameNumber, aliases: []string{"pop", "popos"},
		number: ubuntuNumber, dist: plain("Pop!_OS ")},
	{id: "elementary", name: "elementary OS", scheme: "dpkg", parent: parentIn(elementaryParents), aliases: []string{"elementary", "elementaryos"},
		number: major, dist: plain("elementary OS ")},
	{id: "zorin", name: "Zorin OS", scheme: "dpkg", parent: parentIn(zorinParents), aliases: []string{"zorin", "zorinos"},
		number: major, dist: plain("Zorin OS ")},
	{id: "neon", name: "KDE neon", scheme: "dpkg", parent: sameNumber, aliases: []string{"neon", "kdeneon"},
		number: ubuntuNumber, dist: plain("KDE neon ")},

	{id: "rhcos", name: "Red Hat Enterprise Linux CoreOS", scheme: "rpm", parent: coreOSParent, number: majorMinor,
		aliases: []string{"rhcos", "redhatenterpriselinuxcoreos"}, dist: plain("Red Hat Enterprise Linux CoreOS ")},
	{id: "rhel", name: "Red Hat Enterprise Linux Server", scheme: "rpm", number: major, dist: rhelDist,
		aliases: []string{"rhel", "redhat", "redhatenterpriselinux", "redhatenterpriselinuxserver", "redhatenterpriselinuxworkstation",
			"redhatrheleus", "redhatrhelaus", "redhatrhele4s", "redhatrheltus", "redhatrhelels", "redhatrhelmission",
			"redhatrheleuslonglife", "redhatrhelextras", "redhatrhelextrasrt", "redhatrhelextrassap", "redhatrhelextrassaphana",
			"redhatenterpriselinuxeus", "redhatenterpriselinuxeusls", "redhatenterpriselinuxaus", "redhatenterpriselinuxtus",
			"redhatenterpriselinuxe4s"}},
	{id: "centos", name: "CentOS Linux", scheme: "rpm", of: "rhel", number: major, dist: plain("CentOS Linux "),
		aliases: []string{"centos", "centoslinux", "centosstream"}},
	{id: "almalinux", name: "AlmaLinux", scheme: "rpm", number: major, dist: plain("AlmaLinux "), aliases: []string{"almalinux", "alma"}},
	{id: "rocky", name: "Rocky Linux", scheme: "rpm", number: major, dist: plain("Rocky Linux "), aliases: []string{"rocky", "rockylinux"}},
	{id: "ol", name: "Oracle Linux Server", scheme: "rpm", number: major, dist: oracleDist,
		aliases: []string{"ol", "oracle", "oraclelinux", "oraclelinuxserver"}},
	{id: "fedora", name: "Fedora Linux", scheme: "rpm", number: major, dist: plain("Fedora Linux "),
		aliases: []string{"fedora", "fedoralinux"}},
	{id: "amzn", name: "Amazon Linux", scheme: "rpm", number: amazonNumber, dist: amazonDist,
		aliases: []string{"amzn", "amazon", "amazonlinux"}},
	{id: "amzn", name: "Amazon Linux AMI", scheme: "rpm", number: amazonAMI, dist: amazonDist, aliases: []string{"amazonlinuxami"}},

	{id: "sles", name: "SLES", scheme: "rpm", number: suseNumber, dist: suseDist("SUSE Linux Enterprise Server "),
		aliases: []string{"sles", "suse", "suselinuxenterprise", "suselinuxenterpriseserver", "suselinuxenterpriseserverltss",
			"suselinuxenterprisemodulefor", "suselinuxenterprisesoftwaredevelopmentkit", "suselinuxenterpriseworkstationextension",
			"suselinuxenterpriselivepatching", "suselinuxenterprisehighavailabilityextension", "susepackagehub"}},
	{id: "sles_sap", name: "SLES_SAP", scheme: "rpm", of: "sles", number: suseNumber,
		dist:    suseDist("SUSE Linux Enterprise Server for SAP Applications "),
		aliases: []string{"slessap", "suselinuxenterpriseserverforsapapplications"}},
	{id: "sled", name: "SLED", scheme: "rpm", of: "sles", number: suseNumber, dist: suseDist("SUSE Linux Enterprise Desktop "),
		aliases: []string{"sled", "suselinuxenterprisedesktop"}},
	{id: "sle_hpc", name: "SLE_HPC", scheme: "rpm", of: "sles", number: suseNumber,
		dist:    suseDist("SUSE Linux Enterprise High Performance Computing "),
		aliases: []string{"slehpc", "suselinuxenterprisehighperformancecomputing"}},
	{id: "sle_rt", name: "SLE_RT", scheme: "rpm", of: "sles", number: suseNumber, dist: suseDist("SUSE Linux Enterprise Real Time "),
		aliases: []string{"slert", "suselinuxenterpriserealtime"}},
	{id: "sle-micro", name: "SLE Micro", scheme: "rpm", number: lastNumber, dist: plain("SUSE Linux Enterprise Micro "),
		aliases: []string{"slemicro", "slem", "suselinuxenterprisemicro", "suselinuxenterprisemicroforrancher", "slemicrorancher"}},
	{id: "sl-micro", name: "SL-Micro", scheme: "rpm", number: lastNumber, dist: plain("SUSE Linux Micro "),
		aliases: []string{"slmicro", "suselinuxmicro"}},
	{id: "opensuse-leap", name: "openSUSE Leap", scheme: "rpm", number: majorMinor, dist: plain("openSUSE Leap "),
		aliases: []string{"opensuseleap", "opensuse", "leap"}},
	{id: "opensuse-tumbleweed", name: "openSUSE Tumbleweed", scheme: "rpm", dist: rolling("openSUSE Tumbleweed"),
		aliases: []string{"opensusetumbleweed", "tumbleweed"}},

	{id: "photon", name: "VMware Photon OS", scheme: "rpm", number: major, dist: photonDist,
		aliases: []string{"photon", "photonos", "vmwarephotonos", "vmwarephotonoslinux", "vmwarephotonlinux"}},
	{id: "azurelinux", name: "Microsoft Azure Linux", scheme: "rpm", number: major, dist: dotZero("Microsoft Azure Linux "), moved: azureMoved,
		aliases: []string{"azurelinux", "microsoftazurelinux", "azl"}},
	{id: "mariner", name: "CBL-Mariner", scheme: "rpm", number: major, dist: dotZero("CBL-Mariner/Linux "),
		aliases: []string{"mariner", "cblmariner", "commonbaselinuxmariner"}},
	{id: "mageia", name: "Mageia", scheme: "rpm", number: major, dist: plain("Mageia "), aliases: []string{"mageia"}},
	{id: "openeuler", did: "openEuler", name: "openEuler", scheme: "rpm", number: eulerNumber, system: eulerSystem, dist: plain("openEuler "),
		aliases: []string{"openeuler"}},

	{id: "wolfi", name: "Wolfi", scheme: "apk", dist: rolling("Wolfi"), aliases: []string{"wolfi"}},
	{id: "chainguard", name: "Chainguard", scheme: "apk", dist: rolling("Chainguard"), aliases: []string{"chainguard"}},
	{id: "minimos", name: "MinimOS", scheme: "apk", dist: rolling("MinimOS"), aliases: []string{"minimos"}},
	{id: "alpaquita", name: "BellSoft Alpaquita Linux", scheme: "apk", number: alpaquitaNumber, dist: plain("BellSoft Alpaquita Linux "),
		aliases: []string{"alpaquita", "alpaquitalinux", "bellsoftalpaquitalinux"}},
}

// codeNames are the names of releases. An alias is another name that is not
// the release's code name. Nothing writes to it.
var codeNames = [...]struct {
	family, name, number string
	alias                bool
}{
	{family: "debian", name: "woody", number: "3.0"}, {family: "debian", name: "sarge", number: "3.1"},
	{family: "debian", name: "etch", number: "4"}, {family: "debian", name: "lenny", number: "5"},
	{family: "debian", name: "squeeze", number: "6"}, {family: "debian", name: "wheezy", number: "7"},
	{family: "debian", name: "jessie", number: "8"}, {family: "debian", name: "stretch", number: "9"},
	{family: "debian", name: "buster", number: "10"}, {family: "debian", name: "bullseye", number: "11"},
	{family: "debian", name: "bookworm", number: "12"}, {family: "debian", name: "trixie", number: "13"},
	{family: "debian", name: "forky", number: "14"}, {family: "debian", name: "duke", number: "15"},
	{family: "debian", name: "sid", number: "unstable"}, {family: "debian", name: "unstable", number: "unstable", alias: true},
	{family: "ubuntu", name: "precise", number: "12.04"}, {family: "ubuntu", name: "trusty", number: "14.04"},
	{family: "ubuntu", name: "xenial", number: "16.04"}, {family: "ubuntu", name: "bionic", number: "18.04"},
	{family: "ubuntu", name: "cosmic", number: "18.10"}, {family: "ubuntu", name: "disco", number: "19.04"},
	{family: "ubuntu", name: "eoan", number: "19.10"}, {family: "ubuntu", name: "focal", number: "20.04"},
	{family: "ubuntu", name: "groovy", number: "20.10"}, {family: "ubuntu", name: "hirsute", number: "21.04"},
	{family: "ubuntu", name: "impish", number: "21.10"}, {family: "ubuntu", name: "jammy", number: "22.04"},
	{family: "ubuntu", name: "kinetic", number: "22.10"}, {family: "ubuntu", name: "lunar", number: "23.04"},
	{family: "ubuntu", name: "mantic", number: "23.10"}, {family: "ubuntu", name: "noble", number: "24.04"},
	{family: "ubuntu", name: "oracular", number: "24.10"}, {family: "ubuntu", name: "plucky", number: "25.04"},
	{family: "ubuntu", name: "questing", number: "25.10"}, {family: "ubuntu", name: "resolute", number: "26.04"},
	{family: "alpine", name: "edge", number: "edge", alias: true},
}

// leading returns up to n numbers with dots between them from the start of a
// text, after a "v" if there is one.
func leading(s string, n int) string {
	if len(s) > 1 && (s[0] == 'v' || s[0] == 'V') {
		s = s[1:]
	}
	end := 0
	for i := 0; i <= len(s); i++ {
		if i < len(s) && isDigit(s[i]) {
			end = i + 1
			continue
		}
		n--
		if n <= 0 || i == len(s) || s[i] != '.' || i == 0 {
			break
		}
	}
	return s[:end]
}

func major(s string) string { return leading(s, 1) }

func majorMinor(s string) string { return leading(s, 2) }

// lastNumber returns the last word of the text, for products whose name
// continues before the number.
func lastNumber(s string) string {
	if i := strings.LastIndexAny(s, " "); i >= 0 {
		s = s[i+1:]
	}
	return majorMinor(s)
}

func plain(title string) func(string) clair.Distribution {
	return func(n string) clair.Distribution {
		return clair.Distribution{Version: n, VersionID: n, PrettyName: title + n}
	}
}

func dotZero(title string) func(string) clair.Distribution {
	return func(n string) clair.Distribution { return plain(title)(n + ".0") }
}

func rolling(title string) func(string) clair.Distribution {
	return func(string) clair.Distribution { return clair.Distribution{PrettyName: title} }
}

func alpineNumber(s string) string {
	number := majorMinor(s)
	if strings.Contains(s, "_alpha") || !strings.Contains(number, ".") {
		return ""
	}
	return number
}

// alpineSystem recognizes edge, whose VERSION_ID looks like that of the next
// release.
func alpineSystem(d *clair.Distribution) string {
	if strings.HasSuffix(d.PrettyName, " edge") || strings.Contains(d.VersionID, "_alpha") {
		return "edge"
	}
	if number := alpineNumber(d.VersionID); number != "" {
		return number
	}
	return alpineNumber(d.PrettyName[strings.LastIndexByte(d.PrettyName, ' ')+1:])
}

func alpineDist(n string) clair.Distribution {
	if n == "edge" {
		return clair.Distribution{VersionID: n, PrettyName: "Alpine Linux edge"}
	}
	return clair.Distribution{VersionID: n, PrettyName: "Alpine Linux v" + n}
}

func debianNumber(s string) string {
	if number := major(s); number != "3" {
		return number
	}
	return majorMinor(s)
}

// debianSystem recognizes unstable, whose os-release has no VERSION_ID but
// names the next release and sid.
func debianSystem(d *clair.Distribution) string {
	if d.VersionID == "" && strings.HasSuffix(d.PrettyName, "/sid") {
		return "unstable"
	}
	return ""
}

func debianDist(n string) clair.Distribution {
	if n == "unstable" {
		return clair.Distribution{VersionID: n, Version: "unstable (sid)", PrettyName: "Debian GNU/Linux unstable (sid)"}
	}
	version := n
	if name := codeName("debian", n); name != "" {
		version += " (" + name + ")"
	}
	return clair.Distribution{VersionID: n, Version: version, PrettyName: "Debian GNU/Linux " + version}
}

// codeName returns the code name of a release, or "" if it has none or is
// unknown.
func codeName(family, number string) string {
	for _, c := range codeNames {
		if c.family == family && c.number == number && !c.alias {
			return c.name
		}
	}
	return ""
}

// ubuntuNumber refuses the streams whose packages share names with the plain
// release but not their versions: FIPS and real-time come before the number,
// boards after it.
func ubuntuNumber(s string) string {
	number := majorMinor(s)
	after := strings.ToLower(s)
	if !strings.Contains(number, ".") || strings.Contains(after, ":for:") || strings.Contains(after, ":realtime") || strings.Contains(after, ":fips") {
		return ""
	}
	return number
}

func ubuntuDist(n string) clair.Distribution {
	version := n
	if name := codeName("ubuntu", n); name != "" {
		version += " (" + strings.ToUpper(name[:1]) + name[1:] + ")"
	}
	return clair.Distribution{VersionID: n, Version: version, PrettyName: "Ubuntu " + n}
}

func rhelDist(n string) clair.Distribution {
	d := plain("Red Hat Enterprise Linux Server ")(n)
	d.CPE = "cpe:2.3:o:redhat:enterprise_linux:" + n + ":*:*:*:*:*:*:*"
	return d
}

func oracleDist(n string) clair.Distribution {
	d := plain("Oracle Linux Server ")(n)
	d.VersionCodeName = "Oracle Linux " + n
	return d
}

func photonDist(n string) clair.Distribution {
	return clair.Distribution{Version: n + ".0", VersionID: n + ".0", PrettyName: "VMware Photon OS/Linux"}
}

// amazonNumber returns the number of the last release for the first Amazon
// Linux, which had dates as releases but one feed.
func amazonNumber(s string) string {
	switch number := major(s); {
	case number == "1", number >= "2010" && number <= "2018" && len(number) == 4:
		return amazonLinux1
	default:
		return number
	}
}

const amazonLinux1 = "2018.03"

// amazonAMI recognizes the first Amazon Linux by its name, without a number.
func amazonAMI(string) string { return amazonLinux1 }

func amazonDist(n string) clair.Distribution {
	if n != amazonLinux1 {
		return plain("Amazon Linux ")(n)
	}
	d := plain("Amazon Linux AMI ")(n)
	d.Name = "Amazon Linux AMI"
	return d
}

// azureMoved returns CBL-Mariner, which Azure Linux was called before its
// third release.
func azureMoved(number string) string {
	if number == "1" || number == "2" {
		return "mariner"
	}
	return ""
}

// suseVersion returns a release with its service pack. The names of modules
// may have numbers of their own before it.
var suseVersion = regexp.MustCompile(`(?i)(?:^|[^0-9.])(1[0-9])(?:[ :-]*SP *([1-9])|\.([0-9]))?(?:$|[^0-9])`)

func suseNumber(s string) string {
	all := suseVersion.FindAllStringSubmatch(s, -1)
	if len(all) == 0 {
		return ""
	}
	last := all[len(all)-1]
	if pack := last[2] + last[3]; pack != "" && (pack != "0" || last[1] >= "16") {
		return last[1] + "." + pack
	}
	return last[1]
}

func suseDist(title string) func(string) clair.Distribution {
	return func(n string) clair.Distribution {
		number, pack, _ := strings.Cut(n, ".")
		if pack == "" || number >= "16" {
			return plain(title)(n)
		}
		return clair.Distribution{VersionID: n, Version: number + "-SP" + pack, PrettyName: title + number + " SP" + pack}
	}
}

// eulerVersion returns a release of openEuler, whose service packs are
// releases of their own.
var eulerVersion = regexp.MustCompile(`(?i)^([0-9]{2}\.[0-9]{2})(?:[ (:-]+(LTS(?:-SP[0-9]+)?))?`)

func eulerNumber(s string) string {
	m := eulerVersion.FindStringSubmatch(s)
	switch {
	case m == nil:
		return ""
	case m[2] == "":
		return m[1]
	default:
		return m[1] + "-" + strings.ToUpper(m[2])
	}
}

func eulerSystem(d *clair.Distribution) string { return eulerNumber(d.Version) }

func alpaquitaNumber(s string) string {
	if strings.HasPrefix(strings.ToLower(s), "stream") {
		return "stream"
	}
	return major(s)
}
