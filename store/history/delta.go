package history

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math/bits"

	"github.com/google/uuid"

	"oriel/clair"
	"oriel/store/sqlitedb"
)

// Delta is an import of the changes since an operation, its base, instead of a
// whole feed. It costs what changed: nothing here reads rows that stay.
type Delta struct {
	Base uuid.UUID
	seq  int64 // of the base

	// surplus are open rows that are not in the base: those of imports after it
	// that failed or whose operations were deleted. They are closed unless the
	// delta adds them.
	surplus Bitmap
	// dropped are rows of the base that the delta removes; they are closed
	// unless it adds them, too.
	dropped Bitmap
	// written are the rows that this import has added.
	written Bitmap
	// named are the names of rows that are still to be dropped.
	named []string
}

// findBase finds the base operation of a delta. Its rows stay from here on,
// because no garbage is collected while an import runs.
func (im *importer[R]) findBase(ctx context.Context) error {
	if im.delta == nil {
		return nil
	}
	const find = `
		SELECT seq
		FROM update_operation
		WHERE ref = ? AND updater = ? AND kind = ?`
	err := im.db.Read.QueryRowContext(ctx, find, im.delta.Base.String(), im.updater, string(im.rel.Kind)).Scan(&im.delta.seq)
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("%w: there is no operation %s", clair.ErrBase, im.delta.Base)
	}
	return sqlitedb.Classify(err)
}

// rebase makes the open rows those of the base: rows closed since are opened
// again as copies, and rows opened since are to be closed. If the last import
// completed and was not deleted, there are none of either.
func (im *importer[R]) rebase(ctx context.Context) error {
	d := im.delta
	if d == nil {
		return nil
	}
	for after := int64(0); ; {
		rows, err := sqlitedb.ReadPage(ctx, im.db.Read, im.rel.Surplus, scanHashRow, im.id, d.seq, after, PageRows)
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			break
		}
		for _, r := range rows {
			d.surplus.Set(r.id)
		}
		after = rows[len(rows)-1].id
	}
	for {
		rows, err := sqlitedb.ReadPage(ctx, im.db.Read, im.rel.Missing, scanHashRow, im.id, d.seq, PageRows)
		if err != nil || len(rows) == 0 {
			return err
		}
		err = im.db.InSlices(ctx, len(rows), func(tx *sql.Tx, i int) error {
			if err := tx.QueryRowContext(ctx, im.rel.Again, im.seq, rows[i].id).Scan(&rows[i].id); err != nil || im.rel.WithTags == "" {
				return err
			}
			_, err := tx.ExecContext(ctx, im.rel.WithTags, rows[i].id)
			return err
		})
		if err != nil {
			return err
		}
		if err := im.list(ctx, rows); err != nil {
			return err
		}
	}
}

// count counts a row of the feed that is already open.
func (im *importer[R]) count(id int64) {
	if im.delta != nil && im.delta.surplus.has(id) {
		im.added++ // for the base does not see it
		return
	}
	im.known++
}

// drop processes the part of a delta that removes rows.
func (im *importer[R]) drop(ctx context.Context, in Row[R]) error {
	d := im.delta
	if in.Verb == Replaces {
		if d.named = append(d.named, in.Name); len(d.named) < batchRows {
			return nil
		}
		return im.dropNamed(ctx)
	}
	if im.gone = append(im.gone, in); len(im.gone) < batchRows {
		return nil
	}
	return im.dropGone(ctx)
}

// dropNamed drops the open rows with the names so far. Rows that this import
// added are marked as seen, and stay.
func (im *importer[R]) dropNamed(ctx context.Context) error {
	d := im.delta
	if len(d.named) == 0 {
		return nil
	}
	list, err := json.Marshal(d.named)
	if err != nil {
		return err
	}
	// A name may have many rows, of which only a bit is kept.
	_, err = sqlitedb.ReadPage(ctx, im.db.Read, im.rel.Named, func(rows *sql.Rows) (nothing struct{}, err error) {
		r, err := scanHashRow(rows)
		d.dropped.Set(r.id)
		return nothing, err
	}, string(list), im.id)
	clear(d.named)
	d.named = d.named[:0]
	return err
}

// dropGone drops the removed rows so far, each of which must be in the base.
func (im *importer[R]) dropGone(ctx context.Context) error {
	if len(im.gone) == 0 {
		return nil
	}
	d := im.delta
	ids, err := im.lookup(ctx, im.rel.Known, im.gone)
	if err != nil {
		return err
	}
	im.mu.Lock()
	defer im.mu.Unlock()
	for i, id := range ids {
		if id == 0 || d.surplus.has(id) || d.written.has(id) {
			return fmt.Errorf("%w: a row that is removed is not there, the %d. of its batch", clair.ErrBase, i+1)
		}
		d.dropped.Set(id)
	}
	clear(im.gone)
	im.gone = im.gone[:0]
	return nil
}

// closeDropped closes the rows that the delta removes and does not add, and
// returns how many of them were in the base. im.known becomes the number of
// rows that stayed.
func (im *importer[R]) closeDropped(ctx context.Context) (int64, error) {
	if err := errors.Join(im.dropNamed(ctx), im.dropGone(ctx)); err != nil {
		return 0, err
	}
	d := im.delta
	if !im.addsAreNew() {
		return 0, fmt.Errorf("%w: a row that is added is there already", clair.ErrBase)
	}
	var removed int64
	for ids := range d.dropped.or(&d.surplus).minus(&im.seen).Pages(PageRows) {
		rows, err := sqlitedb.ReadPage(ctx, im.db.Read, im.rel.Hashes, scanHashRow, sqlitedb.JSONList(ids))
		if err == nil {
			err = im.close(ctx, rows)
		}
		if err != nil {
			return removed, err
		}
		for _, id := range ids {
			if !d.surplus.has(id) {
				removed++
			}
		}
	}
	var open int64
	if err := im.db.Read.QueryRowContext(ctx, im.rel.OpenAll, im.id).Scan(&open); err != nil {
		return removed, sqlitedb.Classify(err)
	}
	im.known = open - im.added
	return removed, nil
}

// addsAreNew reports whether every row that the delta adds and that was open
// is also removed by it or is not in the base.
func (im *importer[R]) addsAreNew() bool {
	d := im.delta
	return im.seen.minus(&d.written).minus(&d.dropped).minus(&d.surplus).empty()
}

// or returns the ids of either set.
func (b *Bitmap) or(o *Bitmap) *Bitmap {
	out := &Bitmap{words: make([]uint64, max(len(b.words), len(o.words)))}
	copy(out.words, b.words)
	for i, w := range o.words {
		out.words[i] |= w
	}
	return out
}

// minus returns the ids that are missing in the other set.
func (b *Bitmap) minus(o *Bitmap) *Bitmap {
	out := &Bitmap{words: make([]uint64, len(b.words))}
	copy(out.words, b.words)
	for i := range min(len(b.words), len(o.words)) {
		out.words[i] &^= o.words[i]
	}
	return out
}

func (b *Bitmap) empty() bool {
	for _, w := range b.words {
		if w != 0 {
			return false
		}
	}
	return true
}

// Pages yields the ids in order, some at a time. The slice is reused.
func (b *Bitmap) Pages(size int) iter.Seq[[]int64] {
	return func(yield func([]int64) bool) {
		page := make([]int64, 0, size)
		for i, w := range b.words {
			for ; w != 0; w &= w - 1 {
				page = append(page, int64(i)<<6+int64(bits.TrailingZeros64(w)))
				if len(page) == size {
					if !yield(page) {
						return
					}
					page = page[:0]
				}
			}
		}
		if len(page) > 0 {
			yield(page)
		}
	}
}
