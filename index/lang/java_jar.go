package lang

import (
	"archive/zip"
	"bytes"
	"cmp"
	"encoding/xml"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"oriel/index/reader"
)

// jar collects what identifies one archive.
type jar struct {
	name     string
	manifest map[string]string
	// named are the coordinates of pom.properties files, GROUP:ARTIFACT.
	named map[string]bool
	found []coordinates
	// poms are the pom.xml files, by GROUP:ARTIFACT.
	poms map[string]*zip.File
	// copies are well-known libraries whose classes are in the archive, each
	// with its version, "" if no file in the archive has it.
	copies  map[string]string
	classes bool
}

// coordinates identify a package of Maven.
type coordinates struct{ group, artifact, version string }

func (c coordinates) name() string {
	if c.group == "" {
		return c.artifact
	}
	return c.group + ":" + c.artifact
}

// entry looks at one file of the archive.
func (a *jar) entry(f *zip.File) error {
	if strings.HasSuffix(f.Name, ".class") {
		a.classes = true
		if lib := copyOf(f.Name); lib != "" && a.copies[lib] == "" {
			a.copies[lib] = ""
		}
		return nil
	}
	read := a.reading(f.Name)
	if read == nil {
		return nil
	}
	text, err := unzipHead(f, maxManifest)
	if err != nil {
		return err
	}
	read(f, text)
	return nil
}

// reading returns the function that reads a file by its name, nil if the file
// does not identify the archive.
func (a *jar) reading(name string) func(*zip.File, []byte) {
	if name == "META-INF/MANIFEST.MF" {
		return func(_ *zip.File, text []byte) { a.manifest = parseManifest(text) }
	}
	if rest, ok := strings.CutPrefix(name, "META-INF/maven/"); ok {
		dir, base := path.Split(rest)
		group, artifact, _ := strings.Cut(strings.Trim(dir, "/"), "/")
		switch base {
		case "pom.properties":
			return func(_ *zip.File, text []byte) { a.pomProperties(coordinates{group: group, artifact: artifact}, text) }
		case "pom.xml":
			return func(f *zip.File, _ []byte) { a.poms[group+":"+artifact] = f }
		}
		return nil
	}
	if resource, ok := versionResource(name); ok {
		return func(_ *zip.File, text []byte) { maps.Copy(a.copies, resource(text)) }
	}
	return nil
}

// pomProperties adds the coordinates of a pom.properties file; the path has
// those that the file leaves out.
func (a *jar) pomProperties(c coordinates, text []byte) {
	prop := properties(text, "=")
	c.group = cmp.Or(prop["groupId"], c.group)
	c.artifact = cmp.Or(prop["artifactId"], c.artifact)
	c.version = usable(prop["version"])
	if c.group != "" && c.artifact != "" && c.version != "" {
		a.found = append(a.found, c)
		a.named[c.name()] = true
	}
}

// add adds the packages of the archive to out.
func (a *jar) add(out *reader.Found) error {
	if len(a.found) == 0 {
		if err := a.addUnnamed(out); err != nil {
			return err
		}
	} else {
		a.addKnown()
	}
	for _, c := range a.found {
		if err := out.Add(reader.LanguagePackage("maven", c.name(), c.version)); err != nil {
			return err
		}
	}
	for _, lib := range slices.Sorted(maps.Keys(a.copies)) {
		if err := a.addCopy(lib, out); err != nil {
			return err
		}
	}
	return nil
}

// addKnown adds the well-known library that the archive is by its name, if its
// pom.properties files are those of other libraries in it.
func (a *jar) addKnown() {
	var c coordinates
	c.artifact, c.version = splitJarName(a.name)
	if c.version == "" || slices.ContainsFunc(a.found, func(f coordinates) bool { return f.artifact == c.artifact }) {
		return
	}
	if a.fromTable(&c) {
		a.found = append(a.found, c)
		a.named[c.name()] = true
	}
}

// addCopy adds a library whose classes are in the archive. One of the group
// of the archive itself has its version.
func (a *jar) addCopy(lib string, out *reader.Found) error {
	group, _, _ := strings.Cut(lib, ":")
	version := a.copies[lib]
	for _, c := range a.found {
		switch {
		case c.name() == lib || group == "org.apache.tomcat" && c.group == "org.apache.tomcat.embed":
			return nil
		case version == "" && c.group == group:
			version = c.version
		}
	}
	if version != "" {
		return out.Add(reader.LanguagePackage("maven", lib, version))
	}
	return out.AddUnmatched(lib, "", "a copy of it is in "+path.Base(a.name)+", and no file there has its version")
}

// addUnnamed identifies an archive without pom.properties by its pom.xml, its
// file name and its manifest. An archive that cannot be identified is listed as unmatched.
func (a *jar) addUnnamed(out *reader.Found) error {
	c := coordinates{}
	file, ver := splitJarName(a.name)
	c.artifact, c.version = file, cmp.Or(ver, usable(a.manifest["Implementation-Version"]), usable(a.manifest["Bundle-Version"]),
		usable(a.manifest["Specification-Version"]), usable(a.manifest["Version"]))
	certain := a.fromPOM(&c) || a.fromTable(&c) || a.fromManifest(&c)
	switch {
	case !a.classes && len(a.manifest) == 0 && c.version == "":
		return nil // an archive of something else than Java
	case c.version == "":
		return out.AddUnmatched(c.name(), "", "it is a Java archive without a version")
	case c.group == "":
		return out.AddUnmatched(c.name(), c.version, "it is a Java archive whose Maven group is unknown")
	}
	a.found = append(a.found, c)
	a.named[c.name()] = true
	if certain {
		return nil
	}
	return out.AddUnmatched(c.name(), c.version, "its Maven coordinates are derived from its manifest and may be others")
}

// fromPOM takes the coordinates of the only pom.xml in the archive.
func (a *jar) fromPOM(c *coordinates) bool {
	if len(a.poms) != 1 {
		return false
	}
	for name, f := range a.poms {
		var pom struct {
			Version string `xml:"version"`
			Parent  struct {
				Version string `xml:"version"`
			} `xml:"parent"`
		}
		c.group, c.artifact, _ = strings.Cut(name, ":")
		if text, err := unzip(f, maxManifest); err == nil && xml.Unmarshal(text, &pom) == nil {
			c.version = cmp.Or(usable(pom.Version), usable(pom.Parent.Version), c.version)
		}
	}
	return c.group != "" && c.artifact != ""
}

// fromTable looks a well-known library up by the archive's name.
func (a *jar) fromTable(c *coordinates) bool {
	tomcat := strings.HasPrefix(a.manifest["Implementation-Title"], "Apache Tomcat")
	group, artifact := wellKnown(c.artifact, c.version, tomcat)
	if group == "" {
		return false
	}
	c.group, c.artifact = group, artifact
	return true
}

// groupID is the form of a group: words without capitals, with dots between
// them.
var groupID = regexp.MustCompile(`^[a-z][a-z0-9_-]*(\.[a-zA-Z0-9_-]+)*$`)

// fromManifest takes the group from the manifest, and reports whether it is
// certain.
func (a *jar) fromManifest(c *coordinates) bool {
	if vendor := a.manifest["Implementation-Vendor-Id"]; groupID.MatchString(vendor) {
		c.group = vendor
		return true
	}
	bundle, _, _ := strings.Cut(a.manifest["Bundle-SymbolicName"], ";")
	for _, name := range []string{strings.TrimSpace(bundle), a.manifest["Automatic-Module-Name"]} {
		if group, ok := strings.CutSuffix(name, "."+c.artifact); ok && groupID.MatchString(group) {
			c.group = group
			return true
		}
	}
	for _, name := range []string{strings.TrimSpace(bundle), a.manifest["Automatic-Module-Name"]} {
		if c.group == "" && strings.Contains(name, ".") && groupID.MatchString(name) {
			c.group = name
		}
	}
	return false
}

// usable returns a version, or "" for a placeholder of a build tool.
func usable(version string) string {
	if strings.ContainsAny(version, "${}@ ") || version == "unspecified" {
		return ""
	}
	return version
}

// The names of archives: ARTIFACT_SCALA-VERSION, and BUNDLE_VERSION as OSGi
// has it. The version of Scala is part of the artifact.
var (
	scalaJar = regexp.MustCompile(`^(.+_(?:2\.\d+|3)(?:_\d[\d.]*)?)-v?(\d[\w.+-]*)$`)
	osgiJar  = regexp.MustCompile(`^(.+?)_v?(\d+\.[\w.+-]*)$`)
	// jarVersion is a version with its qualifiers, and no other words.
	jarVersion = regexp.MustCompile(`(?i)^v?\d[\w.+]*(?:-(?:\d|alpha|beta|rc|cr|m\d|sp|snapshot|ga|final|release|jre|android|incubating|b\d|r\d|p\d|v\d|pre|dev|ea|jdk|java|build|redhat|jbossorg|hadoop|cdh|atlassian|patch|hotfix|[0-9a-f]{7,40}$)[\w.+]*)*$`)
	// classifier is a part of the name after the version.
	classifier = regexp.MustCompile(`-(?:(?:natives-)?(?:linux|osx|macos|windows|win|freebsd)(?:-[\w]+)*|x86_64|amd64|aarch64|sources|javadoc|tests?|all|shaded|uber|exec|boot|jar-with-dependencies|with-dependencies|standalone|bundle|no_aop|nodep|embedded)$`)
)

// splitJarName splits the name of an archive into artifact and version, ""
// if it has none.
func splitJarName(name string) (artifact, version string) {
	base := strings.TrimSuffix(path.Base(name), path.Ext(name))
	short := classifier.ReplaceAllString(base, "")
	if m := scalaJar.FindStringSubmatch(short); m != nil {
		return m[1], m[2]
	}
	// The first part that is nothing but a version: log4j-1.2-api-2.17.1.
	for i := 1; i < len(short)-1; i++ {
		if short[i] == '-' && jarVersion.MatchString(short[i+1:]) {
			return short[:i], strings.TrimPrefix(short[i+1:], "v")
		}
	}
	if m := osgiJar.FindStringSubmatch(short); m != nil {
		return m[1], m[2]
	}
	return base, ""
}

// parseManifest reads the main section of a manifest. A line that begins with
// a space continues the one before it.
func parseManifest(text []byte) map[string]string {
	text = bytes.ReplaceAll(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")), []byte("\n "), nil)
	main, _, _ := bytes.Cut(text, []byte("\n\n"))
	return properties(main, ":")
}
