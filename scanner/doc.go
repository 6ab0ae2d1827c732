// Package scanner is the client end of the window: it reads the lists of the
// platforms that an index report needs from a server, and matches them locally.
//
// The contents of the host are never sent. Only rows that affect the host are
// kept, so the memory of a scan does not depend on the length of the lists.
// Lost responses are requested again. If the server no longer knows the session,
// because it was restarted or the scanner was too slow, the findings from that
// list are dropped and it is read again from the beginning, from a newer
// snapshot.
package scanner
