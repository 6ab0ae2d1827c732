// Package compress compresses texts for a database, each by itself.
package compress
