// Package updateinfo reads updateinfo.xml, the advisories of an RPM repository,
// and finds it through the repository's index.
package updateinfo
