// Package store keeps everything Oriel knows in one SQLite file. It is the
// only room with SQL, and knows nothing of HTTP or of how versions compare.
//
// # Update operations
//
// Package history has the engine of imports, and the rules of what an
// operation sees. They hold at every moment, crashes included.
//
// # Connections
//
// One connection writes and a few read; SQLite's write-ahead log lets them
// work side by side. Nobody writes for longer than a few tens of milliseconds
// at a time, and no statement stays open while a caller works on a row or while
// another is run: whoever waits for a second connection can wait for ever.
package store
