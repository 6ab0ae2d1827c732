// Package osv reads advisories in the OSV format: dumps of language ecosystems and
// of distributions.
package osv
