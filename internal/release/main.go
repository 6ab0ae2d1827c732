// Command release builds the program for every system it is released for, and
// writes archives, software bills of materials and checksums into a folder:
//
//	go run ./internal/release [-o DIR]
//
// It is run at the root of the repository. The version is that of the commit's
// tag, as Go derives it. Builds of one commit with one version of Go are the
// same bytes.
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

func main() {
	out := flag.String("o", "dist", "the folder to write to")
	flag.Parse()
	if err := release(*out); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// A platform is a system that the program is released for.
type platform struct{ system, arch string }

// platforms returns the systems that the program is released for.
func platforms() []platform {
	var all []platform
	for _, system := range []string{"linux", "darwin", "windows"} {
		for _, arch := range []string{"amd64", "arm64"} {
			all = append(all, platform{system, arch})
		}
	}
	return all
}

// release writes everything that a release consists of into the folder out.
func release(out string) error {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "release")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	made := commitTime()
	documents, err := writeDocuments(work, made)
	if err != nil {
		return err
	}
	var names []string
	for _, p := range platforms() {
		binary, err := p.build(work)
		if err != nil {
			return err
		}
		bom, version, err := billOfMaterials(binary, made)
		if err != nil {
			return err
		}
		name := fmt.Sprintf("oriel-%s-%s-%s", version, p.system, p.arch)
		if err := os.WriteFile(filepath.Join(out, name+".cdx.json"), bom, 0o644); err != nil {
			return err
		}
		archive, err := p.pack(out, name, binary, documents, made)
		if err != nil {
			return err
		}
		names = append(names, archive, name+".cdx.json")
		fmt.Println(filepath.Join(out, archive))
	}
	return writeSums(out, names)
}

// build builds the program for p and returns its path.
func (p platform) build(dir string) (string, error) {
	binary := filepath.Join(dir, p.system+"-"+p.arch, "oriel")
	if p.system == "windows" {
		binary += ".exe"
	}
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=auto", "-ldflags=-s -w", "-o", binary, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+p.system, "GOARCH="+p.arch)
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("build for %s/%s: %w", p.system, p.arch, err)
	}
	return binary, nil
}

// commitTime returns the time of the commit, so that archives do not depend on
// when they are made; without git it is the start of 1980, the first time that
// every archive format has.
func commitTime() time.Time {
	out, err := exec.Command("git", "log", "-1", "--format=%ct").Output()
	if seconds, parse := strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64); err == nil && parse == nil {
		return time.Unix(seconds, 0).UTC()
	}
	return time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)
}

// writeSums writes SHA256SUMS, in the form that sha256sum -c reads.
func writeSums(dir string, names []string) error {
	var sums strings.Builder
	for _, name := range slices.Sorted(slices.Values(names)) {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		sum := sha256.New()
		_, err = io.Copy(sum, f)
		f.Close()
		if err != nil {
			return err
		}
		fmt.Fprintf(&sums, "%s  %s\n", hex.EncodeToString(sum.Sum(nil)), name)
	}
	return os.WriteFile(filepath.Join(dir, "SHA256SUMS"), []byte(sums.String()), 0o644)
}
