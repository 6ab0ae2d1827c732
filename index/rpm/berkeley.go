package rpm

import (
	"encoding/binary"

	"oriel/clair"
	"oriel/index/reader"
)

// A Berkeley DB hash table, as rpm used it until 4.16: pages of one size, the
// first of which describes the table. Values as large as headers are in chains
// of overflow pages (libdb, src/dbinc/db_page.h).
const (
	berkeleyMagic    = 0x00061561
	berkeleyMeta     = 8
	berkeleyUnsorted = 2
	berkeleySorted   = 13
	berkeleyOverflow = 7
	berkeleyOffPage  = 3 // an entry whose value is in overflow pages
	berkeleyPageHead = 26
)

func isBerkeley(head []byte) bool {
	return binary.LittleEndian.Uint32(head[12:]) == berkeleyMagic || binary.BigEndian.Uint32(head[12:]) == berkeleyMagic
}

// berkeley reads one table.
type berkeley struct {
	f     *reader.File
	order binary.ByteOrder
	size  int64 // of a page
	pages int64
	// read counts overflow pages, so that chains that meet or lead in a circle
	// end.
	read int64
}

// berkeleyHeaders calls each with the headers in a table.
func berkeleyHeaders(f *reader.File, each func([]byte) error) error {
	var meta [72]byte
	if err := readPage(f, meta[:], 0); err != nil {
		return err
	}
	db := berkeley{f: f, order: binary.LittleEndian}
	if db.order.Uint32(meta[12:]) != berkeleyMagic {
		db.order = binary.BigEndian
	}
	db.size = int64(db.order.Uint32(meta[20:]))
	db.pages = int64(db.order.Uint32(meta[32:])) + 1
	switch {
	case meta[24] != 0:
		return clair.Invalid("rpm", "the database is encrypted")
	case meta[25] != berkeleyMeta || db.size < 512 || db.size > 64<<10 || db.size&(db.size-1) != 0:
		return clair.Invalid("rpm", "the database's first page is damaged")
	case db.pages*db.size > f.Size:
		return clair.Invalid("rpm", "the database should have %d bytes and has %d", db.pages*db.size, f.Size)
	}
	page, overflow := make([]byte, db.size), make([]byte, db.size)
	var value []byte
	for n := range db.pages {
		if err := readPage(f, page, n*db.size); err != nil {
			return err
		}
		if kind := page[25]; n == 0 || kind != berkeleyUnsorted && kind != berkeleySorted {
			continue
		}
		count := int64(db.order.Uint16(page[20:]))
		if count%2 != 0 || berkeleyPageHead+2*count > db.size {
			return clair.Invalid("rpm", "page %d of the database is damaged", n)
		}
		// Entries are pairs of a key and a value.
		for i := int64(1); i < count; i += 2 {
			at := int64(db.order.Uint16(page[berkeleyPageHead+2*i:]))
			if at+12 > db.size || page[at] != berkeleyOffPage {
				continue // small values are not headers
			}
			var err error
			if value, err = db.chain(value[:0], overflow, page[at:at+12]); err != nil {
				return err
			}
			if err := each(value); err != nil {
				return err
			}
		}
	}
	return nil
}

// chain appends the content of a chain of overflow pages.
func (db *berkeley) chain(value, page, entry []byte) ([]byte, error) {
	length := int64(db.order.Uint32(entry[8:]))
	if length > maxHeader {
		return nil, errHeader
	}
	for no := int64(db.order.Uint32(entry[4:])); no != 0; {
		if db.read++; no >= db.pages || db.read > db.pages {
			return nil, clair.Invalid("rpm", "the pages of the database lead in a circle or out of it, at page %d", no)
		}
		if err := readPage(db.f, page, no*db.size); err != nil {
			return nil, err
		}
		used := int64(db.order.Uint16(page[22:]))
		no = int64(db.order.Uint32(page[16:]))
		if no != 0 {
			used = db.size - berkeleyPageHead
		}
		if page[25] != berkeleyOverflow || berkeleyPageHead+used > db.size {
			return nil, clair.Invalid("rpm", "an overflow page of the database is damaged")
		}
		value = append(value, page[berkeleyPageHead:berkeleyPageHead+used]...)
	}
	if int64(len(value)) != length {
		return nil, errHeader
	}
	return value, nil
}
