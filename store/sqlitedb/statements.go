package sqlitedb

import (
	"context"
	"database/sql"
)

// Statements runs few queries many times within a transaction, compiling each
// once: for short ones that takes longer than running them. A statement cannot
// be prepared beside the transaction, which holds the only connection that
// writes. They end with their transaction.
type Statements struct {
	tx *sql.Tx
	by map[string]*sql.Stmt // by query
}

// In makes what follows run in a transaction, the same as before or the next.
func (s *Statements) In(tx *sql.Tx) {
	if s.tx != tx {
		s.tx, s.by = tx, map[string]*sql.Stmt{}
	}
}

func (s *Statements) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	if stmt, ok := s.by[query]; ok {
		return stmt, nil
	}
	stmt, err := s.tx.PrepareContext(ctx, query)
	if err == nil {
		s.by[query] = stmt
	}
	return stmt, err
}

// QueryRowContext is the transaction's.
func (s *Statements) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	stmt, err := s.prepare(ctx, query)
	if err != nil {
		return s.tx.QueryRowContext(ctx, query, args...) // which says why as well
	}
	return stmt.QueryRowContext(ctx, args...)
}

// ExecContext is the transaction's.
func (s *Statements) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	stmt, err := s.prepare(ctx, query)
	if err != nil {
		return nil, err
	}
	return stmt.ExecContext(ctx, args...)
}
