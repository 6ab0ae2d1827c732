package patches

import (
	"bytes"
	"cmp"
	"slices"

	"oriel/window"
)

// encodedRow is a row of a pane.
type encodedRow struct {
	name string // of the vulnerability
	text []byte // as JSON
	rank int    // the index of the first row of the pane with this name
}

// group returns the rows of a pane in pages on which the rows of one
// vulnerability follow each other and, if possible, are on one page, because the
// original protocol makes them one item. names has the vulnerability of each row.
// The bytes of the pages do not exceed room.
func group(pane window.Pane, names []string, t window.Task, pageRows int, room int64) window.Pane {
	if len(pane.Pages) < 2 {
		return pane // the items are made of whole pages
	}
	rows := make([]encodedRow, 0, len(names))
	first := map[string]int{}
	for _, p := range pane.Pages {
		p := p.(*page)
		for i := range p.Rows() {
			at := len(rows)
			if _, ok := first[names[at]]; !ok {
				first[names[at]] = at
			}
			rows = append(rows, encodedRow{names[at], p.slice(i, i+1), first[names[at]]})
		}
	}
	slices.SortStableFunc(rows, func(a, b encodedRow) int { return cmp.Compare(a.rank, b.rank) })
	out := window.Pane{Last: pane.Last}
	for at := 0; at < len(rows); {
		end := pageEnd(rows, at, pageRows)
		p := encodePage(rows[at:end], t.Cursor(end))
		out.Pages, out.Bytes = append(out.Pages, p), out.Bytes+p.bytes()
		at = end
	}
	if out.Bytes > room {
		return pane // more pages than before take more bytes than there are
	}
	return out
}

// pageEnd returns the end of the page that begins at a row: at most pageRows
// rows, and no vulnerability that would fit on the next page alone is split.
func pageEnd(rows []encodedRow, at, pageRows int) int {
	end := min(at+pageRows, len(rows))
	if end == len(rows) || rows[end].rank != rows[end-1].rank {
		return end
	}
	start := end - 1
	for start > at && rows[start-1].rank == rows[end].rank {
		start--
	}
	if start == at {
		return end // it fills the page
	}
	return start
}

// encodePage returns a page of rows that are encoded already.
func encodePage(rows []encodedRow, next string) *page {
	size := len(head) + len(tail) + len(next) + len("\"}\n")
	for _, r := range rows {
		size += len(r.text) + 1
	}
	b := bytes.NewBuffer(make([]byte, 0, size))
	b.WriteString(head)
	p := &page{ends: make([]int32, 0, len(rows)), copies: map[copyKey]*pageCopy{}}
	for i, r := range rows {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(r.text)
		p.ends = append(p.ends, int32(b.Len()+1)) // with the comma or bracket that follows
	}
	b.WriteString(tail + next + "\"}\n")
	p.body = b.Bytes()
	return p
}
