// Package index turns what people have into index reports: lists of the
// packages in a manifest, each with the places it was found in. What people
// have is a manifest whose layers are to be fetched, an image in a file, the
// root directory of a host, a package database, an SBOM, or a report that
// somebody else made.
//
// All of it is foreign and may be hostile. What the package promises:
//
//  1. Nothing is unpacked. A layer is read once, as a stream; what a reader
//     wants to see is held in memory, or in one temporary file that is gone
//     before the next is made. No name from an archive ever names a file here.
//  2. Everything is bounded: bytes of a layer before and after decompression,
//     entries, the size of what readers look at, depth of nested archives.
//  3. Nothing is clean because it could not be read. A package database that
//     cannot be read is an error wherever its content would have counted;
//     files of languages that cannot are listed beside the packages.
//  4. The same input gives the same report, ids included.
//
// It knows no SQL and serves no HTTP. Links are never followed: the places
// that distributions link to each other are all looked at.
package index
