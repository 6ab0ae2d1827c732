package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"oriel/clair"
)

// Hash identifies a row among those of its updater: the first 128 bits of a
// SHA-256 over all that a client would call a change.
type Hash [16]byte

// relation is the SQL of one table that follows the rules of intervals.
type relation struct {
	kind clair.Kind
	// known: (json array of hex hashes, updater) -> (index, row id).
	known string
	// fresh: (updater) -> whether the updater has no rows.
	fresh string
	// closed: as known, for hashes that have a closed row; "" where nobody asks.
	closed string
	// orphans: (updater, seq) -> (id, hash) of open rows added after seq,
	// in pages by id.
	orphans string
	// open: (updater, after hash) -> (hash, row id), in pages by hash.
	open string
	// What follows is asked for deltas only.
	//
	// missing: (updater, seq, limit) -> (hash, id) of closed rows that are
	// seen at seq and have no open row of their hash.
	missing string
	// again: (added, row id) -> the id of an open copy of the row.
	again string
	// surplus: (updater, seq, after id, limit) -> (hash, id) of open rows
	// whose hash is not seen at seq.
	surplus string
	// named: (json array of advisories, updater) -> (hash, id) of open rows.
	named   string
	openAll string // (updater) -> the number of open rows

	insertOpen string // (updater, json array of [hex hash, row id])
	deleteOpen string // (json array of row ids)
	closeRow   string // (removed, json array of row ids)
}

const (
	// batchRows is how many incoming rows are looked up at once.
	batchRows = 1000
	// batchBytes is the size at which a batch is full with fewer rows.
	batchBytes = 2 << 20
	// pendingBytes bounds the new rows that wait in memory to be written in
	// order. Their texts are written before and do not wait.
	pendingBytes = 10 << 20
	pageRows     = 2000
	// chunkRows is how many rows one statement writes where it can take many.
	chunkRows = 100
	// closeRows is how many rows are put in order before they are closed.
	closeRows = 100_000
)

// verb is what an incoming row asks for.
type verb uint8

const (
	adds     verb = iota
	removes       // of a delta: the row is no longer
	replaces      // of a delta: the rows of an advisory are no longer
)

// incoming is a row of the feed with its hash. The table it goes to gives R.
type incoming[R any] struct {
	verb verb
	name string // of what is replaced
	hash Hash
	row  R
	size int
	// returned says that a row with this hash was closed before.
	returned bool
}

// table is how one kind of row is written.
type table[R any] interface {
	// prepare does for a batch of new rows what comes before waiting, such
	// as writing their shared texts, and returns what each of them holds on
	// to in memory, in bytes.
	prepare(ctx context.Context, rows []incoming[R]) (int, error)
	// compare orders rows in which reading will want them close together.
	compare(a, b R) int
	// insert writes some rows, whose ids follow one another, and returns the
	// last of them.
	insert(ctx context.Context, tx *sql.Tx, updater, seq int64, rows []incoming[R]) (int64, error)
}

// importer is one running import. add, then complete; both from one goroutine.
type importer[R any] struct {
	db      *DB
	rel     relation
	table   table[R]
	updater string
	id, seq int64

	batch     []incoming[R]
	batchSize int

	// written may hold the rows that this import has written, where the
	// updater had none before, so that only those need be looked for. nil
	// where it had some.
	written *filter

	// delta is nil where the feed is whole.
	delta *delta
	// gone are rows that a delta removes and that are yet to be dropped.
	gone []incoming[R]

	seen         bitmap
	pending      []incoming[R]
	pendingSize  int
	pendingHash  map[Hash]struct{}
	added, known int64
}

// begin takes the updater's next number and makes sure that all its open rows
// are known by hash. The caller ends the import with end.
func begin[R any](ctx context.Context, db *DB, rel relation, t table[R], f feedState) (*importer[R], error) {
	if err := db.claim(f.updater); err != nil {
		return nil, err
	}
	im := &importer[R]{db: db, rel: rel, table: t, updater: f.updater, delta: f.delta, pendingHash: map[Hash]struct{}{}}
	if err := im.start(ctx); err != nil {
		im.end()
		return nil, err
	}
	return im, nil
}

// claim makes the caller the updater's only importer, until release.
func (db *DB) claim(updater string) error {
	if !db.setImporting(updater) {
		return fmt.Errorf("%w: an import of %s is running", clair.ErrConflict, updater)
	}
	// Not under mu, which a step of garbage collection wants while it holds
	// imports.
	db.imports.RLock()
	return nil
}

// setImporting notes that an import of the updater runs; false if one does.
func (db *DB) setImporting(updater string) bool {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.importing[updater] {
		return false
	}
	db.importing[updater] = true
	return true
}

func (db *DB) release(updater string) {
	db.imports.RUnlock()
	db.mu.Lock()
	defer db.mu.Unlock()
	delete(db.importing, updater)
}

// end lets the next import of the updater begin.
func (im *importer[R]) end() { im.db.release(im.updater) }

func (im *importer[R]) start(ctx context.Context) error {
	var last sql.NullInt64
	if err := im.findBase(ctx); err != nil {
		return err
	}
	err := im.db.tx(ctx, func(tx *sql.Tx) error {
		const next = `INSERT INTO updater (name, last_seq, unfinished) VALUES (?, 1, 1)
			ON CONFLICT (name) DO UPDATE SET last_seq = last_seq + 1, unfinished = unfinished + 1 RETURNING id, last_seq`
		if err := tx.QueryRowContext(ctx, next, im.updater).Scan(&im.id, &im.seq); err != nil {
			return err
		}
		const newest = `SELECT max(seq) FROM update_operation WHERE updater = ? AND kind = ?`
		return tx.QueryRowContext(ctx, newest, im.updater, string(im.rel.kind)).Scan(&last)
	})
	if err != nil {
		return err
	}
	if err := im.adopt(ctx, last.Int64); err != nil {
		return err
	}
	if err := im.rebase(ctx); err != nil {
		return err
	}
	var fresh bool
	err = im.db.read.QueryRowContext(ctx, im.rel.fresh, im.id).Scan(&fresh)
	if fresh {
		im.written = &filter{}
	}
	return classify(err)
}

// adopt lists by hash the open rows of imports that never completed and died
// between writing rows and listing them. Without it nobody would close them.
func (im *importer[R]) adopt(ctx context.Context, last int64) error {
	for after := int64(0); ; {
		rows, err := readPage(ctx, im.db.read, im.rel.orphans, scanHashRow, im.id, last, after, pageRows)
		if err != nil || len(rows) == 0 {
			return err
		}
		after = rows[len(rows)-1].id
		if err := im.list(ctx, rows); err != nil {
			return err
		}
	}
}

// hashRow is a row known by hash.
type hashRow struct {
	hash Hash
	id   int64
}

func scanHashRow(rows *sql.Rows) (r hashRow, err error) {
	var h sql.RawBytes
	err = rows.Scan(&h, &r.id)
	copy(r.hash[:], h)
	return r, err
}

// list writes rows to the relation of open rows, in the order of their hashes.
func (im *importer[R]) list(ctx context.Context, rows []hashRow) error {
	slices.SortFunc(rows, func(a, b hashRow) int { return bytes.Compare(a.hash[:], b.hash[:]) })
	stmt, err := im.db.prepare(ctx, im.rel.insertOpen)
	if err != nil {
		return err
	}
	defer stmt.Close()
	chunks := slices.Collect(slices.Chunk(rows, chunkRows))
	return im.db.inSlices(ctx, len(chunks), func(tx *sql.Tx, i int) error {
		list := []byte{'['}
		for j, r := range chunks[i] {
			if j > 0 {
				list = append(list, ',')
			}
			list = append(hex.AppendEncode(append(list, `["`...), r.hash[:]), `",`...)
			list = append(strconv.AppendInt(list, r.id, 10), ']')
		}
		_, err := tx.StmtContext(ctx, stmt).ExecContext(ctx, im.id, string(append(list, ']')))
		return err
	})
}

// take takes one row of the feed or part of a delta. They are worked on in
// batches.
func (im *importer[R]) take(ctx context.Context, in incoming[R]) error {
	if in.verb != adds {
		return im.drop(ctx, in)
	}
	im.batch = append(im.batch, in)
	im.batchSize += in.size
	if len(im.batch) < batchRows && im.batchSize < batchBytes {
		return nil
	}
	return im.resolve(ctx)
}

// resolve marks the known rows of the batch as seen and keeps the others.
func (im *importer[R]) resolve(ctx context.Context) error {
	if len(im.batch) == 0 {
		return nil
	}
	ids, err := im.lookup(ctx, im.rel.known, im.batch)
	if err != nil {
		return err
	}
	fresh := im.batch[:0]
	for i, in := range im.batch {
		if ids[i] != 0 {
			if im.seen.set(ids[i]) {
				im.count(ids[i])
			}
			continue
		}
		if _, twice := im.pendingHash[in.hash]; twice {
			continue
		}
		im.pendingHash[in.hash] = struct{}{}
		fresh = append(fresh, in)
	}
	if err := im.markReturned(ctx, fresh); err != nil {
		return err
	}
	size, err := im.table.prepare(ctx, fresh)
	if err != nil {
		return err
	}
	im.pending = append(im.pending, fresh...)
	im.pendingSize += size
	clear(im.batch)
	im.batch, im.batchSize = im.batch[:0], 0
	if im.pendingSize < pendingBytes {
		return nil
	}
	return im.flush(ctx)
}

// markReturned finds out which new rows have been there before.
func (im *importer[R]) markReturned(ctx context.Context, fresh []incoming[R]) error {
	if im.rel.closed == "" || len(fresh) == 0 {
		return nil
	}
	ids, err := im.lookup(ctx, im.rel.closed, fresh)
	for i, id := range ids {
		fresh[i].returned = id != 0
	}
	return err
}

// lookup runs a query that gives ids for hashes; 0 is for those it does not
// give.
func (im *importer[R]) lookup(ctx context.Context, query string, batch []incoming[R]) ([]int64, error) {
	ids := make([]int64, len(batch))
	list, places := make([]byte, 0, len(batch)*35+2), make([]int, 0, len(batch))
	list = append(list, '[')
	for i, in := range batch {
		if im.written != nil && !im.written.may(in.hash) {
			continue
		}
		if len(places) > 0 {
			list = append(list, ',')
		}
		list = append(hex.AppendEncode(append(list, '"'), in.hash[:]), '"')
		places = append(places, i)
	}
	if len(places) == 0 {
		return ids, nil
	}
	rows, err := im.db.read.QueryContext(ctx, query, string(append(list, ']')), im.id)
	if err != nil {
		return nil, classify(err)
	}
	defer rows.Close()
	for rows.Next() {
		var i int
		var id int64
		if err := rows.Scan(&i, &id); err != nil {
			return nil, classify(err)
		}
		ids[places[i]] = id
	}
	return ids, classify(rows.Err())
}

// flush writes the pending rows in the order in which they will be read, then
// lists them by hash.
func (im *importer[R]) flush(ctx context.Context) error {
	slices.SortFunc(im.pending, func(a, b incoming[R]) int {
		if c := im.table.compare(a.row, b.row); c != 0 {
			return c
		}
		return bytes.Compare(a.hash[:], b.hash[:])
	})
	written := make([]hashRow, 0, len(im.pending))
	chunks := slices.Collect(slices.Chunk(im.pending, insertRows))
	err := im.db.inSlices(ctx, len(chunks), func(tx *sql.Tx, i int) error {
		last, err := im.table.insert(ctx, tx, im.id, im.seq, chunks[i])
		for j, p := range chunks[i] {
			written = append(written, hashRow{p.hash, last - int64(len(chunks[i])-1-j)})
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, w := range written {
		im.seen.set(w.id)
		if im.delta != nil {
			im.delta.written.set(w.id)
		}
		if im.written != nil {
			im.written.add(w.hash)
		}
	}
	if err := im.list(ctx, written); err != nil {
		return err
	}
	im.added += int64(len(written))
	clear(im.pending)
	clear(im.pendingHash)
	im.pending, im.pendingSize = im.pending[:0], 0
	return nil
}

// complete writes what is left, closes the rows that the feed lacks and lists
// the operation.
func (im *importer[R]) complete(ctx context.Context, fp clair.Fingerprint) (clair.UpdateResult, error) {
	res := clair.UpdateResult{UpdateOperation: clair.UpdateOperation{
		Ref: uuid.New(), Updater: im.updater, Fingerprint: fp, Kind: im.rel.kind,
		Date: im.db.now().UTC().Truncate(time.Millisecond),
	}}
	if err := im.resolve(ctx); err != nil {
		return res, err
	}
	if err := im.flush(ctx); err != nil {
		return res, err
	}
	removed, err := im.closeRows(ctx)
	if err != nil {
		return res, err
	}
	res.Added, res.Removed, res.Unchanged = im.added, removed, im.known
	err = im.db.tx(ctx, func(tx *sql.Tx) error {
		const list = `INSERT INTO update_operation (ref, updater, seq, fingerprint, date, kind) VALUES (?, ?, ?, ?, ?, ?)`
		if _, err := tx.ExecContext(ctx, `UPDATE updater SET unfinished = unfinished - 1 WHERE id = ?`, im.id); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, list, res.Ref.String(), im.updater, im.seq, string(fp), res.Date.UnixMilli(), string(im.rel.kind))
		return err
	})
	if err == nil && im.rel.kind == clair.KindVulnerability {
		im.db.signalCompleted()
	}
	return res, err
}

// closeRows closes what the feed lacks, or a delta takes away, and says how
// much that was.
func (im *importer[R]) closeRows(ctx context.Context) (int64, error) {
	if im.delta != nil {
		return im.closeDropped(ctx)
	}
	return im.closeUnseen(ctx)
}

func (im *importer[R]) closeUnseen(ctx context.Context) (int64, error) {
	var removed int64
	var unseen []int64
	for after := []byte{}; ; {
		page, err := readPage(ctx, im.db.read, im.rel.open, scanHashRow, im.id, after, pageRows)
		if err != nil {
			return removed, err
		}
		for _, r := range page {
			if !im.seen.has(r.id) {
				unseen = append(unseen, r.id)
			}
		}
		if len(unseen) > 0 && (len(page) == 0 || len(unseen) >= closeRows) {
			if err := im.closeIDs(ctx, unseen); err != nil {
				return removed, err
			}
			removed += int64(len(unseen))
			unseen = unseen[:0]
		}
		if len(page) == 0 {
			return removed, nil
		}
		after = append([]byte{}, page[len(page)-1].hash[:]...)
	}
}

// closeIDs closes rows in their order in the file, so that each page is
// written once for all its rows; found by hash, they come in no order.
func (im *importer[R]) closeIDs(ctx context.Context, ids []int64) error {
	slices.Sort(ids)
	chunks := slices.Collect(slices.Chunk(ids, chunkRows))
	return im.db.inSlices(ctx, len(chunks), func(tx *sql.Tx, i int) error {
		list := idList(chunks[i])
		if _, err := tx.ExecContext(ctx, im.rel.deleteOpen, list); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, im.rel.closeRow, im.seq, list)
		return err
	})
}

// feedState is what an import makes an operation of: a state of an updater's
// feed by its fingerprint, and what it changes where it does not come whole.
type feedState struct {
	updater     string
	fingerprint clair.Fingerprint
	delta       *delta
}

// runImport feeds an import from a producer that hashes rows while the
// database works on the ones before, so that two processors share the work.
// The channel between them is the only buffer.
func runImport[R any](ctx context.Context, db *DB, rel relation, t table[R], f feedState,
	produce func(yield func(incoming[R]) error) error,
) (res clair.UpdateResult, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("update %s: %w", f.updater, err)
		}
	}()
	im, err := begin(ctx, db, rel, t, f)
	if err != nil {
		return res, err
	}
	defer im.end()
	g, gctx := errgroup.WithContext(ctx)
	ch := make(chan incoming[R], 64)
	g.Go(func() error {
		for in := range ch {
			if err := im.take(gctx, in); err != nil {
				return err
			}
		}
		return nil
	})
	perr := produce(func(in incoming[R]) error {
		select {
		case ch <- in:
			return nil
		case <-gctx.Done():
			return gctx.Err()
		}
	})
	close(ch)
	if err := g.Wait(); err != nil {
		return res, err
	}
	if perr = errors.Join(perr, ctx.Err()); perr != nil {
		return res, perr
	}
	return im.complete(ctx, f.fingerprint)
}

// readPage runs one short query and returns all its rows.
func readPage[T any](ctx context.Context, db *sql.DB, query string, scan func(*sql.Rows) (T, error), args ...any) ([]T, error) {
	rows, err := db.QueryContext(ctx, query, args...)
	return scanAll(rows, err, scan)
}

// scanAll reads and closes what a query returned.
func scanAll[T any](rows *sql.Rows, err error, scan func(*sql.Rows) (T, error)) (page []T, _ error) {
	if err != nil {
		return nil, classify(err)
	}
	defer rows.Close()
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, classify(err)
		}
		page = append(page, one)
	}
	return page, classify(rows.Err())
}
