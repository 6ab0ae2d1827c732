// Package alpine reads Alpine's secdb, which Wolfi and Chainguard publish too.
package alpine
