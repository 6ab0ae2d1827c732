package patches

import (
	"context"
	"fmt"
	"time"

	"oriel/clair"
	"oriel/window"
)

// pass is one walk through the list of a platform.
type pass struct {
	snapshot Snapshot
	sections []clair.SectionID
	mark     clair.Cursor
	// needs is the size reported for a next row that was too large, else 0.
	needs int64
	// lost is set if the snapshot could not be renewed: its rows may be gone.
	lost error
}

// perform performs one task.
func (s *Service) perform(ctx context.Context, t window.Task) {
	if t.MaxBytes == 0 {
		if p := s.passes[t.Pass]; p != nil {
			p.snapshot.Close()
			delete(s.passes, t.Pass)
		}
		return
	}
	var err error
	for i := range attempts {
		if err = s.read(ctx, t); err == nil || ctx.Err() != nil {
			return
		}
		select {
		case <-time.After(retryAfter << i):
		case <-ctx.Done():
			return
		}
	}
	s.log.ErrorContext(ctx, "pane not read", "platform", t.Platform, "err", err)
	s.machine.Failed(time.Now(), t.Pass)
}

const (
	// attempts is how often reading a pane is tried before its sessions are
	// ended. retryAfter is the pause before the second attempt; it doubles.
	attempts   = 3
	retryAfter = 50 * time.Millisecond
)

// read reads the next pane of a pass.
func (s *Service) read(ctx context.Context, t window.Task) error {
	p := s.passes[t.Pass]
	if p == nil {
		var err error
		if p, err = s.startPass(ctx, t.Platform); err != nil {
			return err
		}
		s.passes[t.Pass] = p
	}
	if p.lost != nil {
		return p.lost
	}
	pane, mark, needs, err := s.pane(ctx, p, t)
	switch {
	case err != nil:
		return fmt.Errorf("read the list of %s: %w", t.Platform, err)
	case needs > 0:
		p.needs = needs
		s.machine.TooSmall(time.Now(), t.Pass, needs)
	default:
		p.mark, p.needs = mark, 0
		s.machine.Prepared(time.Now(), t.Pass, pane)
	}
	return nil
}

// startPass takes the snapshot of a pass.
func (s *Service) startPass(ctx context.Context, platform string) (*pass, error) {
	snap, err := s.source.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	sections, err := s.directory.sections(ctx, snap, platform)
	if err != nil {
		snap.Close()
		return nil, err
	}
	return &pass{snapshot: snap, sections: sections}, nil
}

// pane reads and encodes rows until the pane is full. If not even the next row
// fits, needs is the size of that row, else 0.
func (s *Service) pane(ctx context.Context, p *pass, t window.Task) (out window.Pane, mark clair.Cursor, needs int64, err error) {
	mark = p.mark
	room := t.MaxBytes
	// If less was granted than was asked for, the row is larger than the whole
	// budget: it is served alone.
	alone := p.needs > room
	limit := s.cfg.PageRows
	var names []string
	for rows := 0; rows < s.cfg.PaneRows && !out.Last; {
		size, want := room-out.Bytes, min(limit, s.cfg.PaneRows-rows)
		if rows == 0 {
			size = max(size, p.needs)
		}
		got, err := p.snapshot.Page(ctx, p.sections, mark, want, size)
		if err != nil {
			return out, mark, 0, err
		}
		n := len(got.Rows)
		s.rowsRead.Add(int64(n))
		next, err := encode(got.Rows, t.Cursor(rows+n))
		if err != nil {
			return out, mark, 0, err
		}
		fits := got.Needs == 0 && (out.Bytes+next.bytes() <= room || alone && n == 1 && rows == 0)
		if !fits && rows == 0 && n > 1 {
			limit = n / 2 // the store underestimated their encoded size
			continue
		}
		if !fits && rows == 0 {
			return out, mark, max(got.Needs, next.bytes()), nil
		}
		if !fits {
			break
		}
		if n > 0 {
			out.Pages, out.Bytes, rows = append(out.Pages, next), out.Bytes+next.bytes(), rows+n
			for _, v := range got.Rows {
				names = append(names, v.Name)
			}
		}
		mark, out.Last = got.Next, got.Done
		if alone || n < want {
			break // otherwise the pages would get smaller and smaller
		}
	}
	return group(out, names, t, s.cfg.PageRows, room), mark, 0, nil
}
