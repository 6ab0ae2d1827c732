// Package sqlitedb is two pools of connections to one SQLite file, one connection
// that writes and a few that read, and what every user of them needs: short
// transactions, prepared statements, inserts of many rows, keyset pages, and
// SQLite's errors by their codes.
package sqlitedb
