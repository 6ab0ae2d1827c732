package fetch

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"iter"

	"github.com/klauspost/compress/flate"

	"oriel/clair"
)

// Zip reads an archive one entry at a time. The standard library keeps the
// whole directory in memory, which is too much for a feed of some hundred
// thousand small records; Zip needs two buffers, however many entries there
// are. It is for one goroutine at a time.
type Zip struct {
	r                  io.ReaderAt
	base               int64 // of the archive, where something comes before it
	dirAt, dirSize     int64
	entries            uint64
	compressed         *bufio.Reader
	inflate            io.ReadCloser
	local, centralHead []byte
}

// ZipEntry is one file in a Zip.
type ZipEntry struct {
	Name string
	// Size is the length of the content according to the directory.
	Size int64

	method         uint16
	flags          uint16
	crc            uint32
	compressedSize int64
	at             int64
}

const (
	localSig   = 0x04034b50
	centralSig = 0x02014b50
	endSig     = 0x06054b50
	end64Sig   = 0x06064b50
	end64Loc   = 0x07064b50

	localLen   = 30
	centralLen = 46
	endLen     = 22
	end64Len   = 56
	locLen     = 20
)

func badZip(format string, args ...any) error {
	return fmt.Errorf("%w: zip: %s", clair.ErrInvalid, fmt.Sprintf(format, args...))
}

// OpenZip finds the directory of an archive of the given size. If the archive
// is truncated or not a zip, the error is an ErrInvalid.
func OpenZip(r io.ReaderAt, size int64) (*Zip, error) {
	tail := make([]byte, min(size, endLen+0xffff))
	if err := readAt(r, tail, size-int64(len(tail))); err != nil {
		return nil, err
	}
	for i := len(tail) - endLen; i >= 0; i-- {
		if binary.LittleEndian.Uint32(tail[i:]) == endSig && i+endLen+int(binary.LittleEndian.Uint16(tail[i+20:])) <= len(tail) {
			z := &Zip{r: r, local: make([]byte, localLen), centralHead: make([]byte, centralLen)}
			return z, z.readEnd(tail[i:], size-int64(len(tail)-i))
		}
	}
	return nil, badZip("no directory at its end")
}

func readAt(r io.ReaderAt, p []byte, at int64) error {
	n, err := r.ReadAt(p, at)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = badZip("it ends early")
	}
	return err
}

// readEnd reads the record at the end of the directory, at the offset endAt.
func (z *Zip) readEnd(end []byte, endAt int64) error {
	le := binary.LittleEndian
	z.entries = uint64(le.Uint16(end[10:]))
	z.dirSize, z.dirAt = int64(le.Uint32(end[12:])), int64(le.Uint32(end[16:]))
	dirEnd := endAt
	if z.entries == 0xffff || z.dirSize == 0xffffffff || z.dirAt == 0xffffffff {
		at, err := z.readEnd64(endAt)
		if err != nil {
			return err
		}
		if at >= 0 {
			dirEnd = at
		}
	}
	z.base = dirEnd - z.dirSize - z.dirAt
	if z.dirSize < 0 || z.dirAt < 0 || z.dirSize > dirEnd || z.base < 0 {
		return badZip("the directory is outside of the archive")
	}
	return nil
}

// readEnd64 reads the record of large archives and returns its offset, or -1
// if there is none.
func (z *Zip) readEnd64(endAt int64) (int64, error) {
	le := binary.LittleEndian
	loc := make([]byte, locLen)
	if endAt < locLen {
		return -1, nil
	}
	if err := readAt(z.r, loc, endAt-locLen); err != nil || le.Uint32(loc) != end64Loc {
		return -1, err
	}
	at := int64(le.Uint64(loc[8:]))
	if at < 0 || at > endAt-locLen-end64Len {
		return -1, badZip("the directory is outside of the archive")
	}
	rec := make([]byte, end64Len)
	if err := readAt(z.r, rec, at); err != nil {
		return -1, err
	}
	if le.Uint32(rec) != end64Sig {
		return -1, badZip("no directory at its end")
	}
	z.entries, z.dirSize, z.dirAt = le.Uint64(rec[32:]), int64(le.Uint64(rec[40:])), int64(le.Uint64(rec[48:]))
	return at, nil
}

// Entries yields the entries of the directory. It ends with an error at a
// broken entry, because the following one cannot be found.
func (z *Zip) Entries() iter.Seq2[*ZipEntry, error] {
	return func(yield func(*ZipEntry, error) bool) {
		dir := bufio.NewReaderSize(io.NewSectionReader(z.r, z.base+z.dirAt, z.dirSize), peekSize)
		n := uint64(0)
		for ; ; n++ {
			e, err := z.next(dir)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(e, nil) {
				return
			}
		}
		if n&0xffff != z.entries&0xffff { // small archives count in 16 bits
			yield(nil, badZip("its directory names %d entries, and there are %d", z.entries, n))
		}
	}
}

// next reads one entry of the directory. It returns io.EOF at the end.
func (z *Zip) next(dir *bufio.Reader) (*ZipEntry, error) {
	h, le := z.centralHead, binary.LittleEndian
	if _, err := io.ReadFull(dir, h); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = badZip("its directory ends early")
		}
		return nil, err
	}
	if le.Uint32(h) != centralSig {
		return nil, badZip("its directory is damaged")
	}
	rest := make([]byte, int(le.Uint16(h[28:]))+int(le.Uint16(h[30:])))
	if _, err := io.ReadFull(dir, rest); err != nil {
		return nil, badZip("its directory ends early")
	}
	if _, err := dir.Discard(int(le.Uint16(h[32:]))); err != nil {
		return nil, badZip("its directory ends early")
	}
	e := &ZipEntry{
		Name: string(rest[:le.Uint16(h[28:])]), flags: le.Uint16(h[8:]), method: le.Uint16(h[10:]), crc: le.Uint32(h[16:]),
		compressedSize: int64(le.Uint32(h[20:])), Size: int64(le.Uint32(h[24:])), at: int64(le.Uint32(h[42:])),
	}
	return e, e.readExtra(rest[len(e.Name):])
}

// readExtra reads the sizes that did not fit from the extra field with tag 1.
func (e *ZipEntry) readExtra(extra []byte) error {
	le := binary.LittleEndian
	for len(extra) >= 4 {
		tag, n := le.Uint16(extra), int(le.Uint16(extra[2:]))
		extra = extra[4:]
		if n > len(extra) {
			return nil // padding that other tools leave
		}
		if tag == 1 {
			field := extra[:n]
			for _, v := range []*int64{&e.Size, &e.compressedSize, &e.at} {
				if *v == 0xffffffff {
					if len(field) < 8 {
						return badZip("the sizes of %.80q are missing", e.Name)
					}
					*v, field = int64(le.Uint64(field)), field[8:]
				}
			}
		}
		extra = extra[n:]
	}
	if e.Size < 0 || e.compressedSize < 0 || e.at < 0 {
		return badZip("the sizes of %.80q are impossible", e.Name)
	}
	return nil
}

// Read reads the whole content of an entry into buf's memory, which grows as
// needed, and verifies its checksum. Content longer than limit is an
// ErrTooLarge, whatever the directory says.
func (z *Zip) Read(e *ZipEntry, buf []byte, limit int64) ([]byte, error) {
	if e.Size > limit {
		return buf, fmt.Errorf("%w: %d bytes, and the limit is %d", clair.ErrTooLarge, e.Size, limit)
	}
	r, err := z.open(e)
	if err != nil {
		return buf, err
	}
	b := bytes.NewBuffer(buf[:0])
	b.Grow(int(min(e.Size, 1<<20)) + bytes.MinRead)
	if _, err := b.ReadFrom(Limit(r, e.Size)); err != nil {
		return b.Bytes(), fmt.Errorf("unpack: %w", err)
	}
	if int64(b.Len()) != e.Size || crc32.ChecksumIEEE(b.Bytes()) != e.crc {
		return b.Bytes(), badZip("the content does not have the sum that its directory gives")
	}
	return b.Bytes(), nil
}

func (z *Zip) open(e *ZipEntry) (io.Reader, error) {
	const encrypted = 1
	if e.flags&encrypted != 0 {
		return nil, badZip("the entry is encrypted")
	}
	if err := readAt(z.r, z.local, z.base+e.at); err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	if le.Uint32(z.local) != localSig {
		return nil, badZip("the entry is not where its directory says")
	}
	at := z.base + e.at + localLen + int64(le.Uint16(z.local[26:])) + int64(le.Uint16(z.local[28:]))
	section := io.NewSectionReader(z.r, at, e.compressedSize)
	if z.compressed == nil {
		z.compressed = bufio.NewReaderSize(nil, 32<<10)
		z.inflate = flate.NewReader(z.compressed)
	}
	z.compressed.Reset(section)
	const stored, deflated = 0, 8
	switch e.method {
	case stored:
		return z.compressed, nil
	case deflated:
		return z.inflate, z.inflate.(flate.Resetter).Reset(z.compressed, nil)
	}
	return nil, badZip("compression method %d is not supported", e.method)
}
