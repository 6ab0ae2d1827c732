package clair

import (
	"regexp"
	"strings"
)

// The sources that only carry signatures, such as linux-signed-amd64, and meta
// packages, such as linux-meta-aws, are named by few advisories: those are about
// the source whose binaries were signed.

// unsignedSource returns the source package that a signed binary stands for, in
// the version that was signed. ok is false for other packages. binary is a
// package of dpkg, and source the one that it was built from.
func unsignedSource(binary, source *Package) (name, version string, ok bool) {
	switch name := source.Name; {
	case strings.HasPrefix(name, "linux-signed"):
		// Binaries have the version of the kernel, 6.1.69-1, in which the
		// signed source has a plus sign.
		return "linux" + withoutDebianArch(strings.TrimPrefix(name, "linux-signed")), binary.Version, true
	case name == "linux-meta" || strings.HasPrefix(name, "linux-meta-"):
		version, ok = kernelOfMeta(binary.Version)
		return "linux" + strings.TrimPrefix(name, "linux-meta"), version, ok
	case name == "shim-signed", name == "grub2-signed", name == "fwupd-signed":
		version, ok = signedVersion(binary.Version, source.Version)
		return ubuntuUnsigned(name, version), version, ok
	case name == binary.Name && debianKernel.MatchString(name):
		// An inventory without sources.
		return "linux", binary.Version, true
	case name == binary.Name && ubuntuKernel.MatchString(name+" "+binary.Version):
		return ubuntuKernelSource(name, binary.Version), binary.Version, true
	case strings.HasSuffix(name, "-signed"):
		stem := strings.TrimSuffix(name, "-signed")
		if plain := withoutDebianArch(stem); plain != stem {
			return debianTemplate(plain), debianUnsigned(plain, source.Version), true
		}
	}
	return "", "", false
}

// signedInBinary finds the version that was signed in that of the binary, which
// follows the signed source's own: 1.51+15.4-0ubuntu9.
var signedInBinary = regexp.MustCompile(`^[^+]+(?:\+deb[0-9]+u[0-9]+)?\+([0-9][0-9.]*(?:~[a-z]+[0-9]+)?-.+)$`)

// signedVersion returns the version that was signed. Some inventories give the
// source the version of the binary.
func signedVersion(binary, source string) (version string, ok bool) {
	if version, ok = strings.CutPrefix(binary, source+"+"); ok {
		return version, version != ""
	}
	if m := signedInBinary.FindStringSubmatch(binary); m != nil {
		return m[1], true
	}
	return "", false
}

// ubuntuUnsigned returns the source of a version that a signed source is made
// of. GRUB for EFI has had a source of its own in Ubuntu since 2.04.
func ubuntuUnsigned(signed, version string) string {
	switch signed {
	case "shim-signed":
		return "shim"
	case "fwupd-signed":
		return "fwupd-efi"
	}
	if strings.HasPrefix(version, "2.02") || strings.HasPrefix(version, "2.00") {
		return "grub2"
	}
	return "grub2-unsigned"
}

// debianKernel is the name of a kernel of Debian. Those of backports have sources
// of their own.
var debianKernel = regexp.MustCompile(`^linux-image-[0-9.]+-[0-9]+-(?:[a-z]+-)*(?:amd64|arm64|686|686-pae|armmp|armmp-lpae|s390x|powerpc64le)(?:-unsigned)?$`)

// ubuntuKernel is the name and the version of a kernel of Ubuntu, with the series
// and the flavour of the kernel.
var ubuntuKernel = regexp.MustCompile(`^linux-image-(?:unsigned-)?([0-9]+\.[0-9]+)\.[0-9]+-[0-9]+-([a-z][a-z0-9-]*) [0-9.]+-[0-9]+\.[0-9]+(~[0-9.]+)?`)

// ubuntuKernelSource returns the source of a kernel of Ubuntu by its flavour. A
// kernel that was backported to a release has the release in its version, and
// the series in the name of its source.
func ubuntuKernelSource(name, version string) string {
	m := ubuntuKernel.FindStringSubmatch(name + " " + version)
	series, flavour, backport := m[1], m[2], m[3] != ""
	switch flavour {
	case "generic", "generic-lpae", "generic-64k", "virtual":
		flavour = ""
		if backport {
			flavour = "-hwe"
		}
	default:
		flavour = "-" + strings.TrimSuffix(flavour, "-64k")
	}
	if backport {
		return "linux" + flavour + "-" + series
	}
	return "linux" + flavour
}

// debianArches end the names of Debian's signed sources, one for each
// architecture. Nothing writes to it.
var debianArches = []string{"-amd64", "-arm64", "-i386", "-ia32", "-armhf", "-loong64", "-riscv64"}

func withoutDebianArch(name string) string {
	for _, arch := range debianArches {
		if stem, ok := strings.CutSuffix(name, arch); ok {
			return stem
		}
	}
	return name
}

// debianTemplate returns the source that a template for signing was built from,
// by the name of the template without its architecture.
func debianTemplate(name string) string {
	switch name {
	case "grub-efi":
		return "grub2"
	case "shim-helpers":
		return "shim"
	case "systemd-boot-efi", "systemd-boot":
		return "systemd"
	}
	return name
}

// debianUnsigned returns the version of the source that was signed. Debian
// writes 2.06-13+deb12u1 as 2.06+13+deb12u1, and puts the template's own number
// before that of grub2 and shim: 1+2.06+13+deb12u1.
func debianUnsigned(name, version string) string {
	if name == "grub-efi" || name == "shim-helpers" {
		if number, rest, ok := strings.Cut(version, "+"); ok && strings.Contains(rest, "+") && !strings.Contains(number, ".") {
			version = rest
		}
	}
	return strings.Replace(version, "+", "-", 1)
}

// metaVersion is the version of a meta package of Ubuntu's kernel: the kernel's,
// the number of its binary interface, and the meta package's own number.
var metaVersion = regexp.MustCompile(`^([0-9]+\.[0-9]+\.[0-9]+)\.([0-9]+)\.[0-9]+`)

// kernelOfMeta returns the version of the kernel that a meta package depends on.
// It depends on a binary interface, 5.15.0-91, and not on one of its uploads:
// the last counts, since it replaces the others.
func kernelOfMeta(version string) (kernel string, ok bool) {
	m := metaVersion.FindStringSubmatch(version)
	if m == nil {
		return "", false
	}
	return m[1] + "-" + m[2] + ".9999", true
}
