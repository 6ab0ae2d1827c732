// Package mirror reads the data of other servers: a running Clair v4 or Oriel,
// a file of clairctl export-updaters, and a bundle.
package mirror
