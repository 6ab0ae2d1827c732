// Package scanner is the other end of the window: it reads the lists of the
// platforms that an index report needs from a server, and matches them here.
//
// What a host holds never leaves it. Of the lists only what affects the host is
// kept, so the memory a scan takes does not depend on their length. Responses
// that are lost are asked for again; where the server has forgotten the session,
// because it was started anew or because the scanner was too slow, the list is
// read again from its beginning, from a newer snapshot, and what had been found
// in it is forgotten.
package scanner
