// Package index makes index reports: lists of the packages of a manifest, each
// with the places in which it was found. The input is a manifest whose layers
// are fetched, an image in a file, the root directory of a host, a package
// database, an SBOM, or an index report of another program.
//
// The input may be hostile. The package guarantees:
//
//  1. Nothing is unpacked. A layer is read as a stream; a file that a reader
//     wants is held in memory, or in one temporary file that is removed before
//     the next. No name from an archive is ever opened as a file of this
//     machine.
//  2. Everything is bounded: the bytes of a layer before and after
//     decompression, its entries, the size of files that are read, the depth
//     of nested archives.
//  3. No report is clean because a file could not be read. A package database
//     that cannot be read is an error if its content would have counted; other
//     files are listed in the report.
//  4. The same input results in the same report, ids included.
//
// It knows no SQL and serves no HTTP. Links are resolved by name, within the
// image.
package index
