package sqlitedb

// Scanner is a *sql.Row or a *sql.Rows.
type Scanner interface{ Scan(...any) error }
