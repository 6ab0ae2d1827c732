package updater

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/internal/quantity"
)

// inBubble runs a manager in a bubble of its own time until the function
// returns.
func inBubble(t *testing.T, change func(*Config, *Options), updaters []clair.Updater, f func(t *testing.T, m *Manager)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		db := openStore(t)
		m := manage(t, db, change, updaters...)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- m.Run(ctx) }()
		synctest.Wait()
		f(t, m)
		cancel()
		require.NoError(t, <-done)
		all, err := db.UpdateStatuses(t.Context())
		require.NoError(t, err)
		for _, s := range all {
			require.Zero(t, s.NextRun, "nothing is planned any more")
		}
		require.NoError(t, db.Close())
	})
}

func TestManager_Run(t *testing.T) {
	f := &fake{name: "f", parse: rowsOf(2, 0)}
	inBubble(t, func(c *Config, _ *Options) { c.Interval = quantity.Duration(time.Hour) }, []clair.Updater{f}, func(t *testing.T, m *Manager) {
		time.Sleep(time.Minute)
		require.Equal(t, 1, f.runs, "at start")
		wait := time.Until(status(t, m, "f").NextRun)
		require.InDelta(t, time.Hour.Minutes(), wait.Minutes(), 7.1)
		stored, err := m.store.UpdateStatuses(t.Context())
		require.NoError(t, err)
		require.WithinDuration(t, status(t, m, "f").NextRun, stored[0].NextRun, time.Millisecond, "others can read it")
		time.Sleep(5 * time.Hour)
		require.GreaterOrEqual(t, f.runs, 5)
		require.LessOrEqual(t, f.runs, 6)
	})
}

func TestManager_Start(t *testing.T) {
	slow := &fake{name: "slow", parse: rowsOf(1, 0), fetch: func(ctx context.Context, _ clair.Fingerprint) (clair.Fingerprint, error) {
		select {
		case <-time.After(time.Minute):
		case <-ctx.Done():
		}
		return "1", ctx.Err()
	}}
	quick := &fake{name: "quick", parse: rowsOf(1, 0)}
	only := func(c *Config, _ *Options) { c.Interval, c.AtStart = 0, false }
	inBubble(t, only, []clair.Updater{slow, quick}, func(t *testing.T, m *Manager) {
		time.Sleep(24 * time.Hour)
		require.Zero(t, slow.runs+quick.runs, "only when asked")
		started, err := m.Start(t.Context())
		require.NoError(t, err)
		require.Equal(t, []string{"slow", "quick"}, started)
		time.Sleep(time.Second)
		require.Equal(t, 1, quick.runs)
		require.True(t, status(t, m, "slow").Running)
		_, err = m.Start(t.Context(), "quick", "slow")
		require.ErrorIs(t, err, clair.ErrConflict)
		require.Equal(t, 1, quick.runs)
		_, err = m.Update(t.Context(), "slow")
		require.ErrorIs(t, err, clair.ErrConflict)
		started, err = m.Start(t.Context())
		require.NoError(t, err)
		require.Equal(t, []string{"quick"}, started)
		_, err = m.Start(t.Context(), "nonesuch")
		require.ErrorIs(t, err, clair.ErrNotFound)
		time.Sleep(2 * time.Minute)
		require.False(t, status(t, m, "slow").Running)
		require.Empty(t, status(t, m, "slow").Error)
		_, err = m.Start(t.Context(), "slow") // still running when all is stopped
		require.NoError(t, err)
		time.Sleep(time.Second)
	})
	require.Equal(t, 2, slow.runs)
	require.Equal(t, 2, quick.runs)
}

func TestManager_Parallel(t *testing.T) {
	var mu sync.Mutex
	now, most := 0, 0
	var updaters []clair.Updater
	for i := range 6 {
		updaters = append(updaters, &fake{name: fmt.Sprint(i), parse: rowsOf(1, 0), fetch: func(context.Context, clair.Fingerprint) (clair.Fingerprint, error) {
			mu.Lock()
			now++
			most = max(most, now)
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			now--
			mu.Unlock()
			return "1", nil
		}})
	}
	inBubble(t, nil, updaters, func(*testing.T, *Manager) { time.Sleep(time.Minute) })
	require.Equal(t, 2, most)
}
