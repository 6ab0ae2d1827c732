// Package rpm reads the databases of rpm in all three formats: Berkeley DB,
// ndb and SQLite. They are parsed here and not by a library: the one that
// exists reads in goroutines of its own, in which a corrupt page ends the
// process, and reads a page that names itself as the next one forever.
package rpm

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"oriel/clair"
	"oriel/index/reader"
)

// rpmPaths are the paths of rpm's database: the three directories that
// distributions use, with the names of the three formats. Nothing writes to it.
var rpmPaths = []string{
	"var/lib/rpm/Packages", "var/lib/rpm/Packages.db", "var/lib/rpm/rpmdb.sqlite",
	"usr/lib/sysimage/rpm/Packages", "usr/lib/sysimage/rpm/Packages.db", "usr/lib/sysimage/rpm/rpmdb.sqlite",
	"usr/share/rpm/Packages", "usr/share/rpm/Packages.db", "usr/share/rpm/rpmdb.sqlite",
}

// Reader returns the reader of rpm's database.
func Reader() reader.Reader {
	return reader.Reader{
		Name: "rpm", Version: 2, Limit: 1 << 30, Database: true,
		Paths: rpmPaths,
		Wants: func(p string, _ fs.FileMode) bool { return slices.Contains(rpmPaths, p) },
		Read:  parseRPM,
	}
}

// IsDatabase reports by its first bytes whether a file is a database of rpm.
func IsDatabase(head []byte) bool {
	return len(head) >= 16 && (string(head[:16]) == sqliteMagic || binary.LittleEndian.Uint32(head) == ndbMagic || isBerkeley(head))
}

// parseRPM reads an rpm database in any of its three formats.
func parseRPM(ctx context.Context, f *reader.File, out *reader.Found) error {
	var head [16]byte
	if _, err := f.ReadAt(head[:], 0); err != nil {
		return clair.Invalid("rpm", "the database has no header: %v", err)
	}
	each := func(header []byte) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return rpmPackage(header, out)
	}
	switch {
	case string(head[:]) == sqliteMagic:
		return sqliteBlobs(f, "Packages", each)
	case binary.LittleEndian.Uint32(head[:]) == ndbMagic:
		return ndbHeaders(f, each)
	case isBerkeley(head[:]):
		return berkeleyHeaders(f, each)
	}
	return clair.Invalid("rpm", "the database %s has an unknown format", path.Base(f.Path))
}

// The tags of an rpm header that are read (rpmtag.h).
const (
	tagName       = 1000
	tagVersion    = 1001
	tagRelease    = 1002
	tagEpoch      = 1003
	tagArch       = 1022
	tagSourceRPM  = 1044
	tagDirIndexes = 1116
	tagBaseNames  = 1117
	tagDirNames   = 1118
	tagModularity = 5096
)

const (
	rpmInt32 = 4
	// maxHeader is the largest header of one package; rpm's own limit is 256
	// MiB, and kernels with all their files have some MiB.
	maxHeader = 64 << 20
	// maxTags is rpm's limit on the entries of a header.
	maxTags = 0xffff
)

var errHeader = fmt.Errorf("%w: a package's header is damaged", clair.ErrInvalid)

// rpmHeader finds the values of tags in a header (rpm's "header format": two
// counts, the index of 16 bytes an entry, the data).
type rpmHeader struct {
	data []byte
	tags map[uint32]rpmTag
}

type rpmTag struct{ kind, offset, count uint32 }

func readHeader(b []byte) (rpmHeader, error) {
	if len(b) < 8 {
		return rpmHeader{}, errHeader
	}
	n, size := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
	if n == 0 || n > maxTags || size > maxHeader || uint64(len(b)) < 8+16*uint64(n)+uint64(size) {
		return rpmHeader{}, errHeader
	}
	index, data := b[8:8+16*n], b[8+16*n:][:size]
	h := rpmHeader{data, make(map[uint32]rpmTag, 16)}
	for ; len(index) > 0; index = index[16:] {
		switch tag := binary.BigEndian.Uint32(index); tag {
		case tagName, tagVersion, tagRelease, tagEpoch, tagArch, tagSourceRPM, tagDirIndexes, tagBaseNames, tagDirNames, tagModularity:
			t := rpmTag{binary.BigEndian.Uint32(index[4:]), binary.BigEndian.Uint32(index[8:]), binary.BigEndian.Uint32(index[12:])}
			if t.offset >= size {
				return rpmHeader{}, errHeader
			}
			h.tags[tag] = t
		}
	}
	return h, nil
}

// text returns a tag's text, "" if there is none.
func (h rpmHeader) text(tag uint32) string {
	t, ok := h.tags[tag]
	if !ok || t.kind == rpmInt32 {
		return ""
	}
	s, _, _ := strings.Cut(string(h.data[t.offset:min(len(h.data), int(t.offset)+reader.MaxWord+1)]), "\x00")
	if s == "(none)" {
		return ""
	}
	return s
}

// texts calls each with a list's texts until it returns false.
func (h rpmHeader) texts(tag uint32, each func(i int, s string) bool) {
	t, ok := h.tags[tag]
	if !ok {
		return
	}
	rest := h.data[t.offset:]
	for i := range int(t.count) {
		end := slices.Index(rest, 0)
		if end < 0 || !each(i, string(rest[:end])) {
			return
		}
		rest = rest[end+1:]
	}
}

// number returns a number of a list.
func (h rpmHeader) number(tag uint32, i int) (uint32, bool) {
	t, ok := h.tags[tag]
	at := int64(t.offset) + 4*int64(i)
	if !ok || t.kind != rpmInt32 || i >= int(t.count) || at+4 > int64(len(h.data)) {
		return 0, false
	}
	return binary.BigEndian.Uint32(h.data[at:]), true
}

// rpmPackage makes the package of a header.
func rpmPackage(b []byte, out *reader.Found) error {
	h, err := readHeader(b)
	if err != nil {
		return err
	}
	p := clair.Package{Name: h.text(tagName), Arch: h.text(tagArch), Module: ModuleStream(h.text(tagModularity))}
	v, r := h.text(tagVersion), h.text(tagRelease)
	switch {
	case p.Name == "" || v == "":
		return fmt.Errorf("%w: it does not name a package", errHeader)
	case p.Name == "gpg-pubkey":
		return nil // a key, which rpm stores like a package
	}
	p.Version = v + "-" + r
	epoch := ""
	if n, ok := h.number(tagEpoch, 0); ok && n != 0 {
		epoch = strconv.FormatUint(uint64(n), 10) + ":"
	}
	p.Source = Source(h.text(tagSourceRPM))
	if p.Source != nil {
		p.Source.Module = p.Module
		p.Source.Version = SourceVersion(p.Source.Version, epoch+p.Version)
	}
	p.Version = epoch + p.Version
	if out.Owned != nil {
		h.owned(out.Owned)
	}
	return out.Add(p)
}

// owned lists the package's files.
func (h rpmHeader) owned(each func(string)) {
	var dirs []string
	h.texts(tagDirNames, func(_ int, s string) bool { dirs = append(dirs, s); return true })
	h.texts(tagBaseNames, func(i int, s string) bool {
		if dir, ok := h.number(tagDirIndexes, i); ok && int64(dir) < int64(len(dirs)) {
			each(dirs[dir] + s)
		}
		return true
	})
}

// Source parses the file name of a source package,
// NAME-VERSION-RELEASE.src.rpm; it returns nil for any other text.
func Source(name string) *clair.Package {
	name = strings.TrimSuffix(strings.TrimSuffix(name, ".rpm"), ".src")
	name = strings.TrimSuffix(name, ".nosrc")
	i := strings.LastIndexByte(name, '-')
	if i <= 0 {
		return nil
	}
	j := strings.LastIndexByte(name[:i], '-')
	if j <= 0 {
		return nil
	}
	return &clair.Package{Name: name[:j], Version: name[j+1:], Kind: clair.Source}
}

// SourceVersion returns the version of a source package with the epoch of a
// binary package of it, unless the source's version has one: the file names of
// source packages have none.
func SourceVersion(source, binary string) string {
	epoch, _, ok := strings.Cut(binary, ":")
	if !ok || strings.Contains(source, ":") {
		return source
	}
	return epoch + ":" + source
}

// ModuleStream returns NAME:STREAM of a label NAME:STREAM:VERSION:CONTEXT.
func ModuleStream(label string) string {
	part := strings.Split(label, ":")
	if len(part) < 2 {
		return ""
	}
	return part[0] + ":" + part[1]
}

// readPage fills buf from an offset of the database.
func readPage(f *reader.File, buf []byte, at int64) error {
	if n, err := f.ReadAt(buf, at); n < len(buf) {
		return clair.Invalid("rpm", "the database ends early, at %d of %d bytes: %v", at+int64(n), f.Size, errors.Join(err))
	}
	return nil
}
