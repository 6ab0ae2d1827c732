// Package app is the daemon: it reads the configuration, opens every room,
// connects each to the interfaces that it consumes, runs them side by side and
// closes them in reverse. Commands that work on the database without a running
// server use the same parts.
//
// It is, with package cli and tests, the only package that knows the store.
package app
