package store

import (
	"context"
	"database/sql"
	"strings"
)

// insertRows is how many rows one statement inserts where there are as many:
// it saves a fifth of the time of inserting them singly, and more rows would
// not save more.
const insertRows = 16

// inserter inserts rows into one table, many at a time. Whoever makes it closes
// it.
type inserter struct {
	one, many *sql.Stmt
	columns   int
}

// newInserter prepares "INSERT OR FAIL INTO … (…) VALUES " for tuples such as
// "(?, ?)", in which each "?" is a column. Without OR FAIL, and in a table that
// refers to another, SQLite keeps a journal of each statement that it may have
// to undo alone, which takes longer than the rows; here the transaction is
// undone when a statement fails.
func newInserter(ctx context.Context, db *DB, head, tuple string) (*inserter, error) {
	in := &inserter{columns: strings.Count(tuple, "?")}
	var err error
	if in.one, err = db.prepare(ctx, head+tuple); err != nil {
		return nil, err
	}
	if in.many, err = db.prepare(ctx, head+tuple+strings.Repeat(", "+tuple, insertRows-1)); err != nil {
		in.close()
		return nil, err
	}
	return in, nil
}

func (in *inserter) close() {
	for _, s := range []*sql.Stmt{in.one, in.many} {
		if s != nil {
			s.Close()
		}
	}
}

// insert inserts the rows that args hold one after the other, and returns the
// id of the last. In a table whose ids SQLite gives, theirs follow one another,
// since nobody else writes meanwhile.
func (in *inserter) insert(ctx context.Context, tx *sql.Tx, args []any) (last int64, err error) {
	var res sql.Result
	for len(args) > 0 {
		stmt, n := in.one, in.columns
		if len(args) >= insertRows*in.columns {
			stmt, n = in.many, insertRows*in.columns
		}
		if res, err = tx.StmtContext(ctx, stmt).ExecContext(ctx, args[:n]...); err != nil {
			return 0, err
		}
		args = args[n:]
	}
	return res.LastInsertId()
}
