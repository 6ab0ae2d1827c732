// Package sqlitedb has two pools of connections to one SQLite file, one
// connection that writes and a few that read, and the operations that all
// their users need: short transactions, prepared statements, inserts of many
// rows, keyset pages, and SQLite's errors by their codes.
package sqlitedb
