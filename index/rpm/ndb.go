package rpm

import (
	"encoding/binary"

	"oriel/clair"
	"oriel/index/reader"
)

// The "new" database that rpm uses on SUSE: pages of slots, each with the offset
// of a package's header (rpm, lib/backend/ndb/rpmpkg.c).
const (
	ndbMagic     = 'R' | 'p'<<8 | 'm'<<16 | 'P'<<24
	ndbSlotMagic = 'S' | 'l'<<8 | 'o'<<16 | 't'<<24
	ndbBlobMagic = 'B' | 'l'<<8 | 'b'<<16 | 'S'<<24
	ndbPage      = 4096
	ndbUnit      = 16 // of slots, blob headers and block offsets
)

// ndbHeaders calls each with the headers in a database.
func ndbHeaders(f *reader.File, each func([]byte) error) error {
	var head [32]byte
	if err := readPage(f, head[:], 0); err != nil {
		return err
	}
	pages := int64(binary.LittleEndian.Uint32(head[12:]))
	if binary.LittleEndian.Uint32(head[4:]) != 0 || pages == 0 || pages*ndbPage > f.Size {
		return clair.Invalid("rpm", "the database's first page is damaged")
	}
	page := make([]byte, ndbPage)
	var blob []byte
	for n := range pages {
		if err := readPage(f, page, n*ndbPage); err != nil {
			return err
		}
		slots := page
		if n == 0 {
			slots = page[len(head):]
		}
		for ; len(slots) > 0; slots = slots[ndbUnit:] {
			slot := slots[:ndbUnit]
			if binary.LittleEndian.Uint32(slot) != ndbSlotMagic {
				return clair.Invalid("rpm", "a slot of the database is damaged")
			}
			if binary.LittleEndian.Uint32(slot[4:]) == 0 {
				continue // free
			}
			var err error
			if blob, err = ndbBlob(f, slot, blob); err != nil {
				return err
			}
			if err := each(blob); err != nil {
				return err
			}
		}
	}
	return nil
}

func ndbBlob(f *reader.File, slot, buf []byte) ([]byte, error) {
	at := int64(binary.LittleEndian.Uint32(slot[8:])) * ndbUnit
	var head [ndbUnit]byte
	if err := readPage(f, head[:], at); err != nil {
		return nil, err
	}
	size := int64(binary.LittleEndian.Uint32(head[12:]))
	if binary.LittleEndian.Uint32(head[:]) != ndbBlobMagic || string(head[4:8]) != string(slot[4:8]) ||
		size > maxHeader || at+ndbUnit+size > f.Size {
		return nil, clair.Invalid("rpm", "a block of the database is damaged")
	}
	if int64(cap(buf)) < size {
		buf = make([]byte, size)
	}
	buf = buf[:size]
	return buf, readPage(f, buf, at+ndbUnit)
}
