// Package distro knows Linux distributions: their families, the releases of
// each, and the many ways in which systems, feeds, package URLs and CPE names
// spell the same release.
package distro
