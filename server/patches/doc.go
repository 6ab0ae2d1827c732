// Package patches drives the window: it gives package window what it has none
// of, a clock, randomness and a goroutine, and does its tasks. It reads panes
// from snapshots of the store, encodes each row once, and makes and keeps the
// compressed copies of pages.
//
// It stands between package window, which must stay pure, and package server,
// which speaks HTTP and knows neither panes nor snapshots. One goroutine, Run's,
// reads for all platforms, one pane at a time: a pass costs one walk through
// the rows of its platform however many sessions read it, and what is being
// read is never more than one share of the window's memory.
package patches
