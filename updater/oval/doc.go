// Package oval reads OVAL definitions of RPM and dpkg distributions.
package oval
