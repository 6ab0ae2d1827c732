package sqlitedb

import (
	"context"
	"database/sql"
)

// Querier is a *sql.DB, a *sql.Tx or *sqlitedb.Statements.
type Querier interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
}
