// Package migrate brings a database to the current version of the schema, one
// numbered step and transaction at a time (PRAGMA user_version).
package migrate
