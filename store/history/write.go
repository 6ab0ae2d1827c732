package history

import (
	"bytes"
	"context"
	"database/sql"
	"oriel/store/sqlitedb"
	"slices"
)

// write writes the new rows that find passes on.
func (im *importer[R]) write(ctx context.Context, fresh <-chan []Row[R]) error {
	for batch := range fresh {
		size, err := im.table.Share(ctx, batch)
		if err != nil {
			return err
		}
		im.pending = append(im.pending, batch...)
		if im.pendingSize += size; im.pendingSize < pendingBytes {
			continue
		}
		if err := im.flush(ctx); err != nil {
			return err
		}
	}
	return im.flush(ctx)
}

// flush writes the pending rows in the order in which they will be read, then
// adds them to the list by hash.
func (im *importer[R]) flush(ctx context.Context) error {
	slices.SortFunc(im.pending, func(a, b Row[R]) int {
		if c := im.table.Compare(a.Row, b.Row); c != 0 {
			return c
		}
		return bytes.Compare(a.Hash[:], b.Hash[:])
	})
	written := make([]hashRow, 0, len(im.pending))
	chunks := slices.Collect(slices.Chunk(im.pending, sqlitedb.InsertRows))
	err := im.db.InSlices(ctx, len(chunks), func(tx *sql.Tx, i int) error {
		last, err := im.table.Insert(ctx, tx, im.id, im.seq, chunks[i])
		for j, p := range chunks[i] {
			written = append(written, hashRow{p.Hash, last - int64(len(chunks[i])-1-j)})
		}
		return err
	})
	if err != nil {
		return err
	}
	im.markWritten(written)
	if err := im.list(ctx, written); err != nil {
		return err
	}
	im.wake(written)
	clear(im.pending)
	im.pending, im.pendingSize = im.pending[:0], 0
	return nil
}

// markWritten marks rows as seen before they are listed, because the finder
// finds them from then on.
func (im *importer[R]) markWritten(rows []hashRow) {
	im.mu.Lock()
	defer im.mu.Unlock()
	for _, w := range rows {
		im.seen.Set(w.id)
		if im.delta != nil {
			im.delta.written.Set(w.id)
		}
		if im.written != nil {
			im.written.add(w.hash)
		}
	}
	im.added += int64(len(rows))
}

// wake ends the waiting of rows that can now be found.
func (im *importer[R]) wake(rows []hashRow) {
	im.mu.Lock()
	defer im.mu.Unlock()
	for _, w := range rows {
		delete(im.waiting, w.hash)
	}
}
