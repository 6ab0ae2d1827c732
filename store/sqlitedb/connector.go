package sqlitedb

import (
	"context"
	"database/sql/driver"

	"modernc.org/sqlite"
)

// dsn is a driver.Connector for one data source name. It creates a driver of
// its own, so that nothing depends on the name under which the package
// registered itself.
type dsn struct {
	name string
	drv  sqlite.Driver
}

// Connect opens a connection.
func (d *dsn) Connect(context.Context) (driver.Conn, error) { return d.drv.Open(d.name) }

// Driver returns the driver of the connections.
func (d *dsn) Driver() driver.Driver { return &d.drv }
