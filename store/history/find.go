package history

import (
	"bytes"
	"context"
	"encoding/hex"
	"oriel/store/sqlitedb"
	"slices"
)

// find reads the batches of the feed and passes on the new rows of each.
func (im *importer[R]) find(ctx context.Context, batches <-chan []Row[R], fresh chan<- []Row[R]) error {
	defer close(fresh)
	for batch := range batches {
		if err := im.db.CheckQuota(ctx); err != nil {
			return err
		}
		batch, err := im.dropAll(ctx, batch)
		if err != nil {
			return err
		}
		if batch, err = im.resolve(ctx, batch); err != nil {
			return err
		}
		if len(batch) == 0 {
			continue
		}
		im.table.Prepare(batch)
		if err := send(ctx, fresh, batch); err != nil {
			return err
		}
	}
	return nil
}

// dropAll drops the rows that a delta removes, and returns the rest of the
// batch.
func (im *importer[R]) dropAll(ctx context.Context, batch []Row[R]) ([]Row[R], error) {
	if im.delta == nil {
		return batch, nil
	}
	rest := batch[:0]
	for _, in := range batch {
		if in.Verb == Adds {
			rest = append(rest, in)
		} else if err := im.drop(ctx, in); err != nil {
			return nil, err
		}
	}
	clear(batch[len(rest):])
	return rest, nil
}

// resolve marks the known rows of the batch as seen and returns the others. A
// row that neither waits at first nor is found then is new, because a row that
// is being written waits until it can be found.
func (im *importer[R]) resolve(ctx context.Context, batch []Row[R]) ([]Row[R], error) {
	batch = im.await(batch)
	ids, err := im.lookup(ctx, im.rel.Known, batch)
	if err != nil {
		return nil, err
	}
	batch = im.settle(batch, ids)
	return batch, im.markReturned(ctx, batch)
}

// await drops the rows that already wait, and makes the others wait.
func (im *importer[R]) await(batch []Row[R]) []Row[R] {
	im.mu.Lock()
	defer im.mu.Unlock()
	rest := batch[:0]
	for _, in := range batch {
		if _, twice := im.waiting[in.Hash]; !twice {
			im.waiting[in.Hash] = struct{}{}
			rest = append(rest, in)
		}
	}
	clear(batch[len(rest):])
	return rest
}

// settle marks the rows with an id as seen and returns the others.
func (im *importer[R]) settle(batch []Row[R], ids []int64) []Row[R] {
	im.mu.Lock()
	defer im.mu.Unlock()
	fresh := batch[:0]
	for i, in := range batch {
		if ids[i] == 0 {
			fresh = append(fresh, in)
			continue
		}
		delete(im.waiting, in.Hash)
		if im.seen.Set(ids[i]) {
			im.count(ids[i])
		}
	}
	clear(batch[len(fresh):])
	return fresh
}

// markReturned finds out which new rows existed before.
func (im *importer[R]) markReturned(ctx context.Context, fresh []Row[R]) error {
	if im.rel.Closed == "" {
		return nil
	}
	ids, err := im.lookup(ctx, im.rel.Closed, fresh)
	for i, id := range ids {
		fresh[i].Returned = id != 0
	}
	return err
}

// lookup runs a query that returns ids for hashes; hashes without a result get
// 0.
func (im *importer[R]) lookup(ctx context.Context, query string, batch []Row[R]) ([]int64, error) {
	ids := make([]int64, len(batch))
	places := im.mayBeThere(batch)
	if len(places) == 0 {
		return ids, nil
	}
	list := append(make([]byte, 0, len(places)*35+2), '[')
	for i, place := range places {
		if i > 0 {
			list = append(list, ',')
		}
		list = append(hex.AppendEncode(append(list, '"'), batch[place].Hash[:]), '"')
	}
	rows, err := im.db.Read.QueryContext(ctx, query, string(append(list, ']')), im.id)
	if err != nil {
		return nil, sqlitedb.Classify(err)
	}
	defer rows.Close()
	for rows.Next() {
		var i int
		var id int64
		if err := rows.Scan(&i, &id); err != nil {
			return nil, sqlitedb.Classify(err)
		}
		ids[places[i]] = id
	}
	return ids, sqlitedb.Classify(rows.Err())
}

// mayBeThere returns the indexes of the rows that have to be looked up, by
// hash, so that each page is read once for all of them.
func (im *importer[R]) mayBeThere(batch []Row[R]) []int {
	im.mu.Lock()
	defer im.mu.Unlock()
	places := make([]int, 0, len(batch))
	for i, in := range batch {
		if im.written == nil || im.written.may(in.Hash) {
			places = append(places, i)
		}
	}
	slices.SortFunc(places, func(a, b int) int { return bytes.Compare(batch[a].Hash[:], batch[b].Hash[:]) })
	return places
}
