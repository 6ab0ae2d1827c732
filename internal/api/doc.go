// Package api has what the two ends of Oriel's HTTP API share: paths, header
// names, media types, error codes, and the JSON bodies that the server writes
// and the commands and the scanner read.
//
// The package holds data and no behaviour: it opens no connection and answers
// no request. Bodies of Clair's own API are the types of package clair. Paths,
// names of headers and fields, and codes are pinned: they may be added to, and
// are never renamed.
package api
