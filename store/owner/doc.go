// Package owner reads and writes the file next to a database that names the
// process which owns it, so that commands can ask that process.
package owner
