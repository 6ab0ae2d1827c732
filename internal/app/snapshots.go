package app

import (
	"context"

	"oriel/server/patches"
	"oriel/store"
)

// snapshots adapts the store to patches.Source.
type snapshots struct{ db *store.DB }

// Snapshot takes one.
func (s snapshots) Snapshot(ctx context.Context) (patches.Snapshot, error) {
	snap, err := s.db.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	return snap, nil
}
