// Package patches drives the state machine of package window. It supplies what
// a pure state machine cannot have: a clock, random ids and a goroutine that
// performs tasks. It reads panes from snapshots of the store, encodes each row
// once, and keeps the compressed copies of pages.
//
// It is separate from package window, which must stay pure, and from package
// server, which speaks HTTP and knows neither panes nor snapshots. One
// goroutine, that of Run, reads for all platforms, one pane at a time: a pass
// costs one walk through the rows of its platform however many sessions read
// it, and the rows being read never take more than one share of the window's
// memory.
package patches
