package history

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
	"oriel/store/sqlitedb"
)

// Hash identifies a row of an updater: the first 128 bits of a SHA-256 over
// everything that is a change to a client.
type Hash [16]byte

// Relation is the SQL of one table that follows the rules of intervals.
type Relation struct {
	Kind clair.Kind
	// Known: (json array of hex hashes, updater) -> (index, row id).
	Known string
	// Fresh: (updater) -> whether the updater has no rows.
	Fresh string
	// Closed: as Known, for hashes that have a closed row; "" if it is not
	// needed.
	Closed string
	// Orphans: (updater, seq) -> (id, hash) of open rows added after seq,
	// in pages by id.
	Orphans string
	// Open: (updater, after hash) -> (hash, row id), in pages by hash.
	Open string
	// Own: (updater, seq, after id, limit) -> (hash, id) of open rows that an
	// import has written.
	Own string
	// The following queries are for deltas only.
	//
	// Missing: (updater, seq, limit) -> (hash, id) of closed rows that are
	// visible at seq and have no open row of their hash.
	Missing string
	// Again: (added, row id) -> the id of an open copy of the row.
	Again string
	// WithTags: (row id) writes what Again omits; "" if that is nothing.
	WithTags string
	// Surplus: (updater, seq, after id, limit) -> (hash, id) of open rows whose
	// hash is not visible at seq.
	Surplus string
	// Named: (json array of values of Row.Name, updater) -> (hash, id) of
	// open rows.
	Named   string
	OpenAll string // (updater) -> the number of open rows

	InsertOpen string // an insert up to its values: (updater, hash, row id)
	DeleteOpen string // (updater, json array of hex hashes)
	CloseRow   string // (removed, json array of row ids)
	// HalfClosed: (updater, seq, limit) -> (hash, id) of rows that were closed
	// after seq and are still listed as open.
	HalfClosed string
	// Hashes: (json array of row ids) -> (hash, id)
	Hashes string
}

const (
	// batchRows is how many incoming rows are looked up at once.
	batchRows = 1000
	// batchBytes is the size at which a batch is full with fewer rows.
	batchBytes = 2 << 20
	// pendingBytes limits the new rows that wait in memory to be written in
	// order. Their texts are written before and do not wait.
	pendingBytes = 10 << 20
	PageRows     = 2000
	// chunkRows is how many rows one statement writes at most.
	chunkRows = 100
	// closeMany is how many rows are sorted before they are closed.
	closeMany = 100_000
)

// verb is the action for an incoming row.
type verb uint8

const (
	Adds     verb = iota
	Removes       // of a delta: the row is no longer
	Replaces      // of a delta: rows known by name are no longer
)

// Row is a row of the feed with its hash. R is the type of the table's rows.
type Row[R any] struct {
	Verb verb
	Name string // of the replaced advisory, or the range of replaced tags
	Hash Hash
	Row  R
	Size int
	// Returned reports that a row with this hash was closed before.
	Returned bool
}

// Table writes one kind of rows.
type Table[R any] interface {
	// Prepare does the work for a batch of new rows that needs no database,
	// such as compressing their texts. It runs concurrently with the other
	// methods.
	Prepare(rows []Row[R])
	// Share writes the values that the rows of a prepared batch share, such as
	// their texts, and returns how many bytes each row holds in memory while it
	// waits to be written.
	Share(ctx context.Context, rows []Row[R]) (int, error)
	// Compare orders rows in the way in which they are read together.
	Compare(a, b R) int
	// Insert writes some rows with consecutive ids and returns the last id.
	Insert(ctx context.Context, tx *sql.Tx, updater, seq int64, rows []Row[R]) (int64, error)
}

// importer is one running import. Three goroutines share the work: one makes
// and hashes rows, one finds out which of them are new (find), and one writes
// those (write).
type importer[R any] struct {
	db      *Engine
	rel     Relation
	table   Table[R]
	updater string
	id, seq int64

	// delta is nil if the feed is whole.
	delta *Delta

	// These belong to the finder. gone are rows that a delta removes and that
	// are still to be dropped.
	gone  []Row[R]
	known int64

	// These belong to the writer.
	pending     []Row[R]
	pendingSize int

	// mu guards the fields that finder and writer share.
	mu sync.Mutex
	// waiting are the new rows that cannot yet be found in the database.
	waiting map[Hash]struct{}
	seen    Bitmap
	added   int64
	// written is a set that includes the rows of this import if the updater had
	// none before, so that only those have to be looked up. It is nil if the
	// updater had rows.
	written *filter
}

// begin takes the updater's next number and makes sure that all its open rows
// are known by hash. The caller ends the import with end.
func begin[R any](ctx context.Context, db *Engine, rel Relation, t Table[R], f State) (*importer[R], error) {
	if err := db.Claim(f.Updater); err != nil {
		return nil, err
	}
	im := &importer[R]{
		db:      db,
		rel:     rel,
		table:   t,
		updater: f.Updater,
		delta:   f.Delta,
		waiting: map[Hash]struct{}{},
	}
	if err := im.start(ctx); err != nil {
		im.end()
		return nil, err
	}
	return im, nil
}

// end lets the next import of the updater begin.
func (im *importer[R]) end() { im.db.Release(im.updater) }

func (im *importer[R]) start(ctx context.Context) error {
	var last sql.NullInt64
	if err := im.db.CheckQuota(ctx); err != nil {
		return err
	}
	if err := im.findBase(ctx); err != nil {
		return err
	}
	err := im.db.Tx(ctx, func(tx *sql.Tx) error {
		const next = `
			INSERT INTO updater (name, last_seq, unfinished)
			VALUES (?, 1, 1)
			ON CONFLICT (name) DO UPDATE SET last_seq = last_seq + 1, unfinished = unfinished + 1
			RETURNING id, last_seq`
		if err := tx.QueryRowContext(ctx, next, im.updater).Scan(&im.id, &im.seq); err != nil {
			return err
		}
		const newest = `SELECT max(seq) FROM update_operation WHERE updater = ? AND kind = ?`
		return tx.QueryRowContext(ctx, newest, im.updater, string(im.rel.Kind)).Scan(&last)
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
	err = im.db.Read.QueryRowContext(ctx, im.rel.Fresh, im.id).Scan(&fresh)
	if fresh {
		im.written = &filter{}
	}
	return sqlitedb.Classify(err)
}

// adopt adds the open rows of imports that never completed, and died between
// writing rows and listing them, to the list by hash. Otherwise they would
// never be closed.
func (im *importer[R]) adopt(ctx context.Context, last int64) error {
	for after := int64(0); ; {
		rows, err := sqlitedb.ReadPage(ctx, im.db.Read, im.rel.Orphans, scanHashRow, im.id, last, after, PageRows)
		if err != nil || len(rows) == 0 {
			return err
		}
		after = rows[len(rows)-1].id
		if err := im.list(ctx, rows); err != nil {
			return err
		}
	}
}

// hashRow is a row and its hash.
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
	in, err := sqlitedb.NewInserter(ctx, im.db.DB, im.rel.InsertOpen, `(?, ?, ?)`)
	if err != nil {
		return err
	}
	defer in.Close()
	slices.SortFunc(rows, byHash)
	chunks := slices.Collect(slices.Chunk(rows, chunkRows))
	return im.db.InSlices(ctx, len(chunks), func(tx *sql.Tx, i int) error {
		args := make([]any, 0, chunkRows*in.Columns)
		for j := range chunks[i] {
			args = append(args, im.id, chunks[i][j].hash[:], chunks[i][j].id)
		}
		_, err := in.Insert(ctx, tx, args)
		return err
	})
}

// complete closes the rows that are missing in the feed and lists the
// operation, after all rows are written.
func (im *importer[R]) complete(ctx context.Context, fp clair.Fingerprint) (clair.UpdateResult, error) {
	res := clair.UpdateResult{UpdateOperation: clair.UpdateOperation{
		Ref:         uuid.New(),
		Updater:     im.updater,
		Fingerprint: fp,
		Kind:        im.rel.Kind,
		Date:        im.db.Now().UTC().Truncate(time.Millisecond),
	}}
	removed, err := im.closeRows(ctx)
	if err != nil {
		return res, err
	}
	res.Added, res.Removed, res.Unchanged = im.added, removed, im.known
	err = im.db.Tx(ctx, func(tx *sql.Tx) error {
		if err := im.noteReader(ctx, tx, fp); err != nil {
			return err
		}
		const list = `
			INSERT INTO update_operation (ref, updater, seq, fingerprint, date, kind)
			VALUES (?, ?, ?, ?, ?, ?)`
		if _, err := tx.ExecContext(ctx, `UPDATE updater SET unfinished = unfinished - 1 WHERE id = ?`, im.id); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, list, res.Ref.String(), im.updater, im.seq, string(fp), res.Date.UnixMilli(), string(im.rel.Kind))
		return err
	})
	if err == nil && im.rel.Kind == clair.KindVulnerability {
		im.db.Completed()
	}
	return res, err
}

// noteReader remembers that the operation was read by a reader of another
// revision than its predecessor.
func (im *importer[R]) noteReader(ctx context.Context, tx *sql.Tx, fp clair.Fingerprint) error {
	const newest = `
		SELECT seq, fingerprint
		FROM update_operation
		WHERE updater = ? AND kind = ?
		ORDER BY seq DESC
		LIMIT 1`
	const note = `
		UPDATE updater
		SET reread_from = ?2, reread_at = ?3, reread_same = ?4
		WHERE id = ?1`
	var seq int64
	var previous clair.Fingerprint
	err := tx.QueryRowContext(ctx, newest, im.updater, string(im.rel.Kind)).Scan(&seq, &previous)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	reread := fp.Reread(previous)
	if reread == clair.NotReread {
		return nil
	}
	_, err = tx.ExecContext(ctx, note, im.id, seq, im.seq, reread == clair.RereadSame)
	return err
}

// State is the state that an import makes an operation of: an updater's feed
// by its fingerprint, and the changes if it is not whole.
type State struct {
	Updater     string
	Fingerprint clair.Fingerprint
	Delta       *Delta
}

// Import runs an import with a producer that hashes rows. Each goroutine holds
// one batch; there are no other buffers between them.
func Import[R any](ctx context.Context, db *Engine, rel Relation, t Table[R], f State,
	produce func(yield func(Row[R]) error) error,
) (res clair.UpdateResult, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("update %s: %w", f.Updater, err)
		}
	}()
	im, err := begin(ctx, db, rel, t, f)
	if err != nil {
		return res, err
	}
	defer im.end()
	defer func() {
		if errors.Is(err, ErrQuota) {
			err = errors.Join(err, im.abandon(ctx))
		}
	}()
	g, gctx := errgroup.WithContext(ctx)
	batches, fresh := make(chan []Row[R]), make(chan []Row[R])
	g.Go(func() error { return im.find(gctx, batches, fresh) })
	g.Go(func() error { return im.write(gctx, fresh) })
	perr := inBatches(produce, func(batch []Row[R]) error { return send(gctx, batches, batch) })
	close(batches)
	if err := g.Wait(); err != nil {
		return res, err
	}
	if perr = errors.Join(perr, ctx.Err()); perr != nil {
		return res, perr
	}
	return im.complete(ctx, f.Fingerprint)
}

// inBatches calls f for the rows that produce yields, some at a time.
func inBatches[R any](produce func(yield func(Row[R]) error) error, f func([]Row[R]) error) error {
	var batch []Row[R]
	size := 0
	err := produce(func(in Row[R]) error {
		batch = append(batch, in)
		if size += in.Size; len(batch) < batchRows && size < batchBytes {
			return nil
		}
		full := batch
		batch, size = make([]Row[R], 0, batchRows), 0
		return f(full)
	})
	if err != nil || len(batch) == 0 {
		return err
	}
	return f(batch)
}

// send sends a value unless the context ends.
func send[T any](ctx context.Context, ch chan<- T, v T) error {
	select {
	case ch <- v:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Engine is the part of the store that an import uses.
type Engine struct {
	*sqlitedb.DB
	// Claim makes the caller the updater's only importer until release; if
	// another import of the updater runs, it returns an ErrConflict. While any
	// updater is claimed no garbage is collected.
	Claim   func(updater string) error
	Release func(updater string)
	// CheckQuota returns an ErrQuota if the database or the disk is too full
	// for an import.
	CheckQuota func(context.Context) error
	Now        func() time.Time
	// Completed is called when a vulnerability operation has completed.
	Completed func()
}

// ErrQuota means that an import would use more of the disk than it may.
var ErrQuota = fmt.Errorf("%w: there is no room for an import", clair.ErrUnavailable)

// abandon closes the rows that a failed import has written, so that they are
// garbage. After other failures they stay as the base of the next import; here
// they would occupy the missing space.
func (im *importer[R]) abandon(ctx context.Context) error {
	for after := int64(0); ; {
		rows, err := sqlitedb.ReadPage(ctx, im.db.Read, im.rel.Own, scanHashRow, im.id, im.seq, after, PageRows)
		if err != nil || len(rows) == 0 {
			return err
		}
		after = rows[len(rows)-1].id
		if err := im.close(ctx, rows); err != nil {
			return err
		}
	}
}
