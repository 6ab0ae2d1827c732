// Package debian reads the JSON of Debian's security tracker.
package debian
