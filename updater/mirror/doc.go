// Package mirror reads what other servers know: a running Clair v4 or Oriel, a
// file of clairctl export-updaters, and a bundle.
package mirror
