// Package store stores all of Oriel's data in one SQLite file. It is the only
// room with SQL; it knows neither HTTP nor how versions are compared.
//
// # Update operations
//
// Package history has the engine of imports, and the rules of which rows an
// operation sees. They hold at every moment, including after a crash.
//
// # Connections
//
// One connection writes and a few read; SQLite's write-ahead log lets them
// work at the same time. No transaction writes for longer than a few tens of
// milliseconds, and no statement stays open while a caller works on a row or
// another statement runs: waiting for a second connection while holding one
// may never end.
package store
