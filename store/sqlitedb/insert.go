package sqlitedb

import (
	"context"
	"database/sql"
	"strings"
)

// InsertRows is how many rows one statement inserts at most: it saves a fifth
// of the time of inserting them one by one, and more rows would not save more.
const InsertRows = 16

// Inserter inserts rows into one table, many at a time. Its creator closes it.
type Inserter struct {
	one, many *sql.Stmt
	Columns   int
}

// NewInserter prepares "INSERT OR FAIL INTO … (…) VALUES " for tuples such as
// "(?, ?)", in which each "?" is a column. Without OR FAIL, and in a table
// that refers to another, SQLite keeps a journal of each statement that it may
// have to undo alone, which takes longer than the rows; here the transaction
// is rolled back if a statement fails.
func NewInserter(ctx context.Context, db *DB, head, tuple string) (*Inserter, error) {
	in := &Inserter{Columns: strings.Count(tuple, "?")}
	var err error
	if in.one, err = db.Prepare(ctx, head+tuple); err != nil {
		return nil, err
	}
	if in.many, err = db.Prepare(ctx, head+tuple+strings.Repeat(", "+tuple, InsertRows-1)); err != nil {
		in.Close()
		return nil, err
	}
	return in, nil
}

func (in *Inserter) Close() {
	for _, s := range []*sql.Stmt{in.one, in.many} {
		if s != nil {
			s.Close()
		}
	}
}

// Insert inserts the rows in args, one after the other, and returns the id of
// the last. If SQLite assigns the table's ids, they are consecutive, since
// there is no other writer.
func (in *Inserter) Insert(ctx context.Context, tx *sql.Tx, args []any) (last int64, err error) {
	var res sql.Result
	for len(args) > 0 {
		stmt, n := in.one, in.Columns
		if len(args) >= InsertRows*in.Columns {
			stmt, n = in.many, InsertRows*in.Columns
		}
		if res, err = tx.StmtContext(ctx, stmt).ExecContext(ctx, args[:n]...); err != nil {
			return 0, err
		}
		args = args[n:]
	}
	return res.LastInsertId()
}
