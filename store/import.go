package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
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
	// own: (updater, seq, after id, limit) -> (hash, id) of open rows that an
	// import has written.
	own string
	// What follows is asked for deltas only.
	//
	// missing: (updater, seq, limit) -> (hash, id) of closed rows that are
	// seen at seq and have no open row of their hash.
	missing string
	// again: (added, row id) -> the id of an open copy of the row.
	again string
	// withTags: (row id) writes what again leaves out; "" if it is nothing.
	withTags string
	// surplus: (updater, seq, after id, limit) -> (hash, id) of open rows
	// whose hash is not seen at seq.
	surplus string
	// named: (json array of what incoming.name is, updater) -> (hash, id) of
	// open rows.
	named   string
	openAll string // (updater) -> the number of open rows

	insertOpen string // an insert up to its values: (updater, hash, row id)
	deleteOpen string // (updater, json array of hex hashes)
	closeRow   string // (removed, json array of row ids)
	// halfClosed: (updater, seq, limit) -> (hash, id) of rows that were closed
	// after seq and are still listed as open.
	halfClosed string
	// hashes: (json array of row ids) -> (hash, id)
	hashes string
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
	// closeMany is how many rows are put in order before they are closed.
	closeMany = 100_000
)

// verb is what an incoming row asks for.
type verb uint8

const (
	adds     verb = iota
	removes       // of a delta: the row is no longer
	replaces      // of a delta: rows known by name are no longer
)

// incoming is a row of the feed with its hash. The table it goes to gives R.
type incoming[R any] struct {
	verb verb
	name string // of what is replaced: an advisory, or a range of tags
	hash Hash
	row  R
	size int
	// returned says that a row with this hash was closed before.
	returned bool
}

// table is how one kind of row is written.
type table[R any] interface {
	// prepare does for a batch of new rows what needs no database, such as
	// compressing their texts. It runs beside the other methods.
	prepare(rows []incoming[R])
	// share writes what the rows of a prepared batch share, such as their
	// texts, and returns what each of them holds on to in memory while it
	// waits to be written, in bytes.
	share(ctx context.Context, rows []incoming[R]) (int, error)
	// compare orders rows in which reading will want them close together.
	compare(a, b R) int
	// insert writes some rows, whose ids follow one another, and returns the
	// last of them.
	insert(ctx context.Context, tx *sql.Tx, updater, seq int64, rows []incoming[R]) (int64, error)
}

// importer is one running import. Three goroutines share the work: one makes
// and hashes rows, one finds out which of them are new (find), and one writes
// those (write).
type importer[R any] struct {
	db      *DB
	rel     relation
	table   table[R]
	updater string
	id, seq int64

	// delta is nil where the feed is whole.
	delta *delta

	// The finder's own. gone are rows that a delta removes and that are yet to
	// be dropped.
	gone  []incoming[R]
	known int64

	// The writer's own.
	pending     []incoming[R]
	pendingSize int

	// mu guards what finder and writer share.
	mu sync.Mutex
	// waiting are the new rows that cannot yet be found in the database.
	waiting map[Hash]struct{}
	seen    bitmap
	added   int64
	// written may hold the rows that this import has written, where the
	// updater had none before, so that only those need be looked for. nil
	// where it had some.
	written *filter
}

// begin takes the updater's next number and makes sure that all its open rows
// are known by hash. The caller ends the import with end.
func begin[R any](ctx context.Context, db *DB, rel relation, t table[R], f feedState) (*importer[R], error) {
	if err := db.claim(f.updater); err != nil {
		return nil, err
	}
	im := &importer[R]{db: db, rel: rel, table: t, updater: f.updater, delta: f.delta, waiting: map[Hash]struct{}{}}
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
	if err := im.db.checkRoom(ctx); err != nil {
		return err
	}
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
	if err := im.unlistClosed(ctx, last.Int64); err != nil {
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
	in, err := newInserter(ctx, im.db, im.rel.insertOpen, `(?, ?, ?)`)
	if err != nil {
		return err
	}
	defer in.close()
	slices.SortFunc(rows, byHash)
	chunks := slices.Collect(slices.Chunk(rows, chunkRows))
	return im.db.inSlices(ctx, len(chunks), func(tx *sql.Tx, i int) error {
		args := make([]any, 0, chunkRows*in.columns)
		for j := range chunks[i] {
			args = append(args, im.id, chunks[i][j].hash[:], chunks[i][j].id)
		}
		_, err := in.insert(ctx, tx, args)
		return err
	})
}

// complete closes the rows that the feed lacks and lists the operation, once
// all rows are written.
func (im *importer[R]) complete(ctx context.Context, fp clair.Fingerprint) (clair.UpdateResult, error) {
	res := clair.UpdateResult{UpdateOperation: clair.UpdateOperation{
		Ref: uuid.New(), Updater: im.updater, Fingerprint: fp, Kind: im.rel.kind,
		Date: im.db.now().UTC().Truncate(time.Millisecond),
	}}
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

// feedState is what an import makes an operation of: a state of an updater's
// feed by its fingerprint, and what it changes where it does not come whole.
type feedState struct {
	updater     string
	fingerprint clair.Fingerprint
	delta       *delta
}

// runImport feeds an import from a producer that hashes rows. Each goroutine
// has a batch at hand; there are no other buffers between them.
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
	defer func() {
		if errors.Is(err, errNoRoom) {
			err = errors.Join(err, im.abandon(ctx))
		}
	}()
	g, gctx := errgroup.WithContext(ctx)
	batches, fresh := make(chan []incoming[R]), make(chan []incoming[R])
	g.Go(func() error { return im.find(gctx, batches, fresh) })
	g.Go(func() error { return im.write(gctx, fresh) })
	perr := inBatches(produce, func(batch []incoming[R]) error { return send(gctx, batches, batch) })
	close(batches)
	if err := g.Wait(); err != nil {
		return res, err
	}
	if perr = errors.Join(perr, ctx.Err()); perr != nil {
		return res, perr
	}
	return im.complete(ctx, f.fingerprint)
}

// inBatches calls f for the rows that produce yields, some at a time.
func inBatches[R any](produce func(yield func(incoming[R]) error) error, f func([]incoming[R]) error) error {
	var batch []incoming[R]
	size := 0
	err := produce(func(in incoming[R]) error {
		batch = append(batch, in)
		if size += in.size; len(batch) < batchRows && size < batchBytes {
			return nil
		}
		full := batch
		batch, size = make([]incoming[R], 0, batchRows), 0
		return f(full)
	})
	if err != nil || len(batch) == 0 {
		return err
	}
	return f(batch)
}

// send hands a value over unless the context ends.
func send[T any](ctx context.Context, ch chan<- T, v T) error {
	select {
	case ch <- v:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
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
