package main

import (
	"bytes"
	"debug/buildinfo"
	"fmt"
	"os/exec"
	"runtime/debug"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// billOfMaterials returns the CycloneDX document of the modules that are
// linked into a program, and the program's version. Both come from what the
// Go command recorded in it.
func billOfMaterials(binary string, made time.Time) (document []byte, version string, err error) {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return nil, "", fmt.Errorf("read the modules of %s: %w", binary, err)
	}
	if version = info.Main.Version; version == "" || version == "(devel)" {
		version = described()
	}
	main := component(cdx.ComponentTypeApplication, &debug.Module{Path: info.Main.Path, Version: version})
	bom := cdx.NewBOM()
	bom.Metadata = &cdx.Metadata{Timestamp: made.Format(time.RFC3339), Component: &main}
	components := []cdx.Component{component(cdx.ComponentTypeLibrary, &debug.Module{
		Path: "stdlib", Version: strings.TrimPrefix(info.GoVersion, "go"),
	})}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		components = append(components, component(cdx.ComponentTypeLibrary, m))
	}
	needs := make([]string, len(components))
	for i, c := range components {
		needs[i] = c.BOMRef
	}
	bom.Components = &components
	bom.Dependencies = &[]cdx.Dependency{{Ref: main.BOMRef, Dependencies: &needs}}
	var out bytes.Buffer
	encoder := cdx.NewBOMEncoder(&out, cdx.BOMFileFormatJSON)
	if err := encoder.SetPretty(true).Encode(bom); err != nil {
		return nil, "", fmt.Errorf("encode the bill of materials: %w", err)
	}
	return out.Bytes(), version, nil
}

// described names the commit for programs without a version, such as those
// built in an additional work tree.
func described() string {
	out, err := exec.Command("git", "describe", "--tags", "--always", "--dirty").Output()
	if err != nil {
		return "devel"
	}
	return strings.TrimSpace(string(out))
}

// component describes a module.
func component(kind cdx.ComponentType, m *debug.Module) cdx.Component {
	purl := "pkg:golang/" + m.Path + "@" + strings.ReplaceAll(m.Version, "+", "%2B")
	c := cdx.Component{BOMRef: purl, Type: kind, Name: m.Path, Version: m.Version, PackageURL: purl}
	if m.Sum != "" {
		c.Properties = &[]cdx.Property{{Name: "go:sum", Value: m.Sum}}
	}
	return c
}
