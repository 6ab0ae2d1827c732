// Package fetch reads foreign bytes: it downloads over https and http, opens
// local files and directories, and decompresses by content.
//
// Its invariants:
//
// 1. A download is complete or it is an error. A body that ends early, changes
// between two attempts or exceeds its limit is never returned.
//
// It knows neither the formats of feeds nor the meaning of the bytes.
package fetch
