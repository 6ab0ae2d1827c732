package sqlitedb

import (
	"context"
	"database/sql"
)

// Statements runs a few queries many times within a transaction, compiling
// each once, because compiling a short query takes longer than running it. A
// statement cannot be prepared outside of the transaction, which holds the
// only connection that writes. The statements end with their transaction.
type Statements struct {
	tx *sql.Tx
	by map[string]*sql.Stmt // by query
}

// In makes the following calls run in a transaction, the same as before or the
// next.
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

// QueryRowContext runs the transaction's method of that name.
func (s *Statements) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	stmt, err := s.prepare(ctx, query)
	if err != nil {
		return s.tx.QueryRowContext(ctx, query, args...) // which says why as well
	}
	return stmt.QueryRowContext(ctx, args...)
}

// ExecContext runs the transaction's method of that name.
func (s *Statements) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	stmt, err := s.prepare(ctx, query)
	if err != nil {
		return nil, err
	}
	return stmt.ExecContext(ctx, args...)
}
