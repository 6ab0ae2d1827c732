package history

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"encoding/hex"
	"oriel/store/sqlitedb"
	"slices"
)

// closeRows closes the rows that are missing in the feed, or that a delta
// removes, and returns their number.
func (im *importer[R]) closeRows(ctx context.Context) (int64, error) {
	if im.delta != nil {
		return im.closeDropped(ctx)
	}
	return im.closeUnseen(ctx)
}

func (im *importer[R]) closeUnseen(ctx context.Context) (int64, error) {
	var removed int64
	var unseen []hashRow
	for after := (Hash{}); ; {
		page, err := sqlitedb.ReadPage(ctx, im.db.Read, im.rel.Open, scanHashRow, im.id, after[:], PageRows)
		if err != nil {
			return removed, err
		}
		for _, r := range page {
			if !im.seen.has(r.id) {
				unseen = append(unseen, r)
			}
		}
		if len(unseen) > 0 && (len(page) == 0 || len(unseen) >= closeMany) {
			if err := im.close(ctx, unseen); err != nil {
				return removed, err
			}
			removed += int64(len(unseen))
			unseen = unseen[:0]
		}
		if len(page) == 0 {
			return removed, nil
		}
		after = page[len(page)-1].hash
	}
}

// close closes rows in their order in the file, so that each page is written
// once for all its rows, and then removes them from the list of open rows in
// that list's order. If an import dies in between, the next one removes its
// rows (see unlistClosed), or their collection does.
func (im *importer[R]) close(ctx context.Context, rows []hashRow) error {
	slices.SortFunc(rows, func(a, b hashRow) int { return cmp.Compare(a.id, b.id) })
	stmt, err := im.db.Prepare(ctx, im.rel.CloseRow)
	if err != nil {
		return err
	}
	defer stmt.Close()
	chunks := slices.Collect(slices.Chunk(rows, chunkRows))
	err = im.db.InSlices(ctx, len(chunks), func(tx *sql.Tx, i int) error {
		ids := make([]int64, len(chunks[i]))
		for j, r := range chunks[i] {
			ids[j] = r.id
		}
		_, err := tx.StmtContext(ctx, stmt).ExecContext(ctx, im.seq, sqlitedb.JSONList(ids))
		return err
	})
	if err != nil {
		return err
	}
	return im.unlist(ctx, rows)
}

// unlist removes rows from the list of open rows.
func (im *importer[R]) unlist(ctx context.Context, rows []hashRow) error {
	stmt, err := im.db.Prepare(ctx, im.rel.DeleteOpen)
	if err != nil {
		return err
	}
	defer stmt.Close()
	slices.SortFunc(rows, byHash)
	chunks := slices.Collect(slices.Chunk(rows, chunkRows))
	return im.db.InSlices(ctx, len(chunks), func(tx *sql.Tx, i int) error {
		list := []byte{'['}
		for j, r := range chunks[i] {
			if j > 0 {
				list = append(list, ',')
			}
			list = append(hex.AppendEncode(append(list, '"'), r.hash[:]), '"')
		}
		_, err := tx.StmtContext(ctx, stmt).ExecContext(ctx, im.id, string(append(list, ']')))
		return err
	})
}

// unlistClosed removes the rows from the list of open rows that an import
// closed and never completed. seq is that of the last complete operation.
func (im *importer[R]) unlistClosed(ctx context.Context, seq int64) error {
	for {
		rows, err := sqlitedb.ReadPage(ctx, im.db.Read, im.rel.HalfClosed, scanHashRow, im.id, seq, closeMany)
		if err != nil || len(rows) == 0 {
			return err
		}
		if err := im.unlist(ctx, rows); err != nil {
			return err
		}
	}
}

func byHash(a, b hashRow) int { return bytes.Compare(a.hash[:], b.hash[:]) }
