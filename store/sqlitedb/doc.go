// Package sqlitedb has two pools of connections to one SQLite file, one
// connection that writes and a few that read, and the operations that all
// their users need: short transactions, prepared statements, inserts of many
// rows, keyset pages, and SQLite's errors by their codes.
//
// SQLite has no statistics of the tables here, so queries fix the plan.
// A list of keys goes in as JSON, and CROSS JOIN makes it the outer loop: with
// JOIN, SQLite may read a whole table for each key. INDEXED BY is used if
// several indexes fit and only one finds few rows; a comment says which.
package sqlitedb
