// Package redhat reads Red Hat's CSAF VEX documents: the archive of all of them,
// and the lists of what changed since.
package redhat
