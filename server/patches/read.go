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
	mark     clair.RowMark
	// needs is what was asked for, for the next row alone; 0 is nothing.
	needs int64
	// lost says that the snapshot no longer holds what it did.
	lost error
}

// do does one task.
func (s *Service) do(ctx context.Context, t window.Task) {
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
	// attempts is how often a pane is tried to be read before its sessions are
	// told, and retryAfter how long it is to the second; it doubles.
	attempts   = 3
	retryAfter = 50 * time.Millisecond
)

// read reads the next pane of a pass.
func (s *Service) read(ctx context.Context, t window.Task) error {
	p := s.passes[t.Pass]
	if p == nil {
		var err error
		if p, err = s.begin(ctx, t.Platform); err != nil {
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

// begin takes a snapshot for a pass.
func (s *Service) begin(ctx context.Context, platform string) (*pass, error) {
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

// pane reads and encodes rows until they fill what there is room for. needs is
// not 0 where there is not room for a single one, and says what that takes.
func (s *Service) pane(ctx context.Context, p *pass, t window.Task) (out window.Pane, mark clair.RowMark, needs int64, err error) {
	mark = p.mark
	room := t.MaxBytes
	// Where less was given than was asked for, there is no more.
	alone := p.needs > room
	limit := s.cfg.PageRows
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
			limit = n / 2 // their size had been taken for smaller
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
		}
		mark, out.Last = got.Next, got.Done
		if alone || n < want {
			break // or else there would be ever smaller pages
		}
	}
	return out, mark, 0, nil
}
