// Package compress keeps texts compressed in a database, each by itself.
package compress
