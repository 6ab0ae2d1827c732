package store

import (
	"bytes"
	"context"
	"encoding/hex"
	"slices"
)

// find takes the batches of the feed and hands on what is new of each.
func (im *importer[R]) find(ctx context.Context, batches <-chan []incoming[R], fresh chan<- []incoming[R]) error {
	defer close(fresh)
	for batch := range batches {
		if err := im.db.checkRoom(ctx); err != nil {
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
		im.table.prepare(batch)
		if err := send(ctx, fresh, batch); err != nil {
			return err
		}
	}
	return nil
}

// dropAll drops what a delta takes away and returns the rest of the batch.
func (im *importer[R]) dropAll(ctx context.Context, batch []incoming[R]) ([]incoming[R], error) {
	if im.delta == nil {
		return batch, nil
	}
	rest := batch[:0]
	for _, in := range batch {
		if in.verb == adds {
			rest = append(rest, in)
		} else if err := im.drop(ctx, in); err != nil {
			return nil, err
		}
	}
	clear(batch[len(rest):])
	return rest, nil
}

// resolve marks the known rows of the batch as seen and returns the others.
// What is neither waiting at first nor found then is new: a row that is
// written meanwhile waits until it can be found.
func (im *importer[R]) resolve(ctx context.Context, batch []incoming[R]) ([]incoming[R], error) {
	batch = im.await(batch)
	ids, err := im.lookup(ctx, im.rel.known, batch)
	if err != nil {
		return nil, err
	}
	batch = im.settle(batch, ids)
	return batch, im.markReturned(ctx, batch)
}

// await drops the rows that wait already and lets the others wait.
func (im *importer[R]) await(batch []incoming[R]) []incoming[R] {
	im.mu.Lock()
	defer im.mu.Unlock()
	rest := batch[:0]
	for _, in := range batch {
		if _, twice := im.waiting[in.hash]; !twice {
			im.waiting[in.hash] = struct{}{}
			rest = append(rest, in)
		}
	}
	clear(batch[len(rest):])
	return rest
}

// settle marks the rows that have ids as seen and returns the others.
func (im *importer[R]) settle(batch []incoming[R], ids []int64) []incoming[R] {
	im.mu.Lock()
	defer im.mu.Unlock()
	fresh := batch[:0]
	for i, in := range batch {
		if ids[i] == 0 {
			fresh = append(fresh, in)
			continue
		}
		delete(im.waiting, in.hash)
		if im.seen.set(ids[i]) {
			im.count(ids[i])
		}
	}
	clear(batch[len(fresh):])
	return fresh
}

// markReturned finds out which new rows have been there before.
func (im *importer[R]) markReturned(ctx context.Context, fresh []incoming[R]) error {
	if im.rel.closed == "" {
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
	places := im.mayBeThere(batch)
	if len(places) == 0 {
		return ids, nil
	}
	list := append(make([]byte, 0, len(places)*35+2), '[')
	for i, place := range places {
		if i > 0 {
			list = append(list, ',')
		}
		list = append(hex.AppendEncode(append(list, '"'), batch[place].hash[:]), '"')
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

// mayBeThere gives the places of the rows that need be looked for, by hash, so
// that each page is read once for all of them.
func (im *importer[R]) mayBeThere(batch []incoming[R]) []int {
	im.mu.Lock()
	defer im.mu.Unlock()
	places := make([]int, 0, len(batch))
	for i, in := range batch {
		if im.written == nil || im.written.may(in.hash) {
			places = append(places, i)
		}
	}
	slices.SortFunc(places, func(a, b int) int { return bytes.Compare(batch[a].hash[:], batch[b].hash[:]) })
	return places
}
