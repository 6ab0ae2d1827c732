package rpm

import (
	"encoding/binary"
	"strings"

	"oriel/clair"
	"oriel/index/reader"
)

// The SQLite database that rpm has since 4.16, of which one table is read from
// first to last. This is the file format's B-tree (sqlite.org/fileformat2.html)
// and nothing else: a hostile file takes the memory of two pages and one value,
// and never reaches the SQLite library that has our own data.
const sqliteMagic = "SQLite format 3\x00"

const (
	sqliteInterior = 5
	sqliteLeaf     = 13
	// maxDepth is far more than a tree of SQLite's largest file has.
	maxDepth = 20
)

type sqliteFile struct {
	f      *reader.File
	size   int64 // of a page
	usable int64
	pages  int64
	// read counts pages, so that a graph that is not a tree ends.
	read  int64
	value []byte
}

var errSQLite = clair.Invalid("rpm", "the SQLite database is damaged")

// sqliteBlobs calls each with the last column of every row of a table.
func sqliteBlobs(f *reader.File, table string, each func([]byte) error) error {
	var head [100]byte
	if err := readPage(f, head[:], 0); err != nil {
		return err
	}
	db := sqliteFile{f: f, size: int64(binary.BigEndian.Uint16(head[16:]))}
	if db.size == 1 {
		db.size = 64 << 10
	}
	db.usable = db.size - int64(head[20])
	if db.size < 512 || db.size&(db.size-1) != 0 || db.usable < 480 || f.Size%db.size != 0 {
		return errSQLite
	}
	db.pages = f.Size / db.size
	root := int64(0)
	err := db.walk(1, 0, func(row []byte) error {
		var col [5][]byte
		if n := columns(row, col[:]); n == 5 && string(col[0]) == "table" && strings.EqualFold(string(col[1]), table) {
			root = integer(col[3])
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case root == 0:
		return clair.Invalid("rpm", "the SQLite database has no table %s", table)
	}
	return db.walk(root, 0, func(row []byte) error {
		var col [2][]byte
		if columns(row, col[:]) != 2 {
			return errSQLite
		}
		return each(col[1])
	})
}

// walk calls each with the payload of every row of the tree under a page.
func (db *sqliteFile) walk(no int64, depth int, each func([]byte) error) error {
	if db.read++; no < 1 || no > db.pages || depth > maxDepth || db.read > db.pages {
		return errSQLite
	}
	page := make([]byte, db.size)
	if err := readPage(db.f, page, (no-1)*db.size); err != nil {
		return err
	}
	head := int64(0)
	if no == 1 {
		head = 100
	}
	kind, count := page[head], int64(binary.BigEndian.Uint16(page[head+3:]))
	cells := head + 8
	if kind == sqliteInterior {
		cells += 4
	}
	if kind != sqliteInterior && kind != sqliteLeaf || cells+2*count > db.usable {
		return errSQLite
	}
	for i := range count {
		at := int64(binary.BigEndian.Uint16(page[cells+2*i:]))
		if at+4 > db.usable {
			return errSQLite
		}
		cell := page[at:db.usable]
		var err error
		if kind == sqliteInterior {
			err = db.walk(int64(binary.BigEndian.Uint32(cell)), depth+1, each)
		} else if err = db.payload(cell); err == nil {
			err = each(db.value)
		}
		if err != nil {
			return err
		}
	}
	if kind == sqliteInterior {
		return db.walk(int64(binary.BigEndian.Uint32(page[head+8:])), depth+1, each)
	}
	return nil
}

// payload reads a leaf's cell into value, from its overflow pages too.
func (db *sqliteFile) payload(cell []byte) error {
	size, n := varint(cell)
	if n == 0 || size < 0 || size > maxHeader+1024 {
		return errSQLite
	}
	cell = cell[n:]
	if _, n = varint(cell); n == 0 { // the row's id
		return errSQLite
	}
	cell = cell[n:]
	local := size
	if most := db.usable - 35; size > most {
		least := (db.usable-12)*32/255 - 23
		if local = least + (size-least)%(db.usable-4); local > most {
			local = least
		}
	}
	if int64(len(cell)) < local || local < size && int64(len(cell)) < local+4 {
		return errSQLite
	}
	db.value = append(db.value[:0], cell[:local]...)
	if local == size {
		return nil
	}
	page := make([]byte, db.usable)
	for next := int64(binary.BigEndian.Uint32(cell[local:])); int64(len(db.value)) < size; {
		if db.read++; next < 1 || next > db.pages || db.read > db.pages {
			return errSQLite
		}
		if err := readPage(db.f, page, (next-1)*db.size); err != nil {
			return err
		}
		db.value = append(db.value, page[4:min(db.usable, 4+size-int64(len(db.value)))]...)
		next = int64(binary.BigEndian.Uint32(page))
	}
	return nil
}

// columns splits a record into its first columns and returns their number.
func columns(row []byte, into [][]byte) int {
	size, n := varint(row)
	if n == 0 || size < int64(n) || size > int64(len(row)) {
		return 0
	}
	types, data := row[n:size], row[size:]
	for i := range into {
		kind, n := varint(types)
		if n == 0 {
			return i
		}
		types = types[n:]
		length := int64(0)
		switch {
		case kind >= 12:
			length = (kind - 12) / 2
		case kind >= 0 && kind <= 9:
			length = [...]int64{0, 1, 2, 3, 4, 6, 8, 8, 0, 0}[kind]
		}
		if length > int64(len(data)) || kind < 0 {
			return i
		}
		into[i], data = data[:length], data[length:]
	}
	return len(into)
}

// integer reads a column of a number.
func integer(b []byte) int64 {
	n := int64(0)
	for _, c := range b {
		n = n<<8 | int64(c)
	}
	return n
}

// varint reads SQLite's number of one to nine bytes; n is 0 if it is cut off.
func varint(b []byte) (v int64, n int) {
	for i, c := range b {
		if i == 8 {
			return v<<8 | int64(c), 9
		}
		v = v<<7 | int64(c&0x7f)
		if c < 0x80 {
			return v, i + 1
		}
	}
	return 0, 0
}
