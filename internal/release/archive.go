package main

import (
	"archive/tar"
	"archive/zip"
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"
)

// A member is one file of an archive.
type member struct {
	name string // in the archive
	file string
	mode os.FileMode
}

// pack writes the archive of a build and returns its name: a zip for Windows,
// a compressed tar for the others. Both have one folder, named as the archive.
func (p platform) pack(out, name, binary string, documents []member, made time.Time) (archive string, err error) {
	members := append([]member{
		{name: filepath.Base(binary), file: binary, mode: 0o755},
		{name: "LICENSE", file: "LICENSE", mode: 0o644},
		{name: "README.md", file: "README.md", mode: 0o644},
		{name: "CHANGELOG.md", file: "CHANGELOG.md", mode: 0o644},
		{name: "config.example.toml", file: "config.example.toml", mode: 0o644},
	}, documents...)
	for i := range members {
		members[i].name = path.Join(name, members[i].name)
	}
	slices.SortFunc(members, func(a, b member) int { return cmp.Compare(a.name, b.name) })

	archive, write := name+".tar.gz", writeTar
	if p.system == "windows" {
		archive, write = name+".zip", writeZip
	}
	f, err := os.Create(filepath.Join(out, archive))
	if err != nil {
		return "", err
	}
	if err := errors.Join(write(f, members, made), f.Close()); err != nil {
		return "", fmt.Errorf("write %s: %w", archive, err)
	}
	return archive, nil
}

// writeTar writes members as a compressed tar.
func writeTar(w io.Writer, members []member, made time.Time) error {
	compressed := gzip.NewWriter(w)
	archive := tar.NewWriter(compressed)
	for _, m := range members {
		content, err := os.ReadFile(m.file)
		if err != nil {
			return err
		}
		err = archive.WriteHeader(&tar.Header{
			Name: m.name, Mode: int64(m.mode), Size: int64(len(content)), ModTime: made, Format: tar.FormatPAX,
		})
		if err != nil {
			return err
		}
		if _, err := archive.Write(content); err != nil {
			return err
		}
	}
	return errors.Join(archive.Close(), compressed.Close())
}

// writeZip writes members as a zip.
func writeZip(w io.Writer, members []member, made time.Time) error {
	archive := zip.NewWriter(w)
	for _, m := range members {
		content, err := os.ReadFile(m.file)
		if err != nil {
			return err
		}
		header := &zip.FileHeader{Name: m.name, Method: zip.Deflate, Modified: made}
		header.SetMode(m.mode)
		f, err := archive.CreateHeader(header)
		if err != nil {
			return err
		}
		if _, err := f.Write(content); err != nil {
			return err
		}
	}
	return archive.Close()
}
