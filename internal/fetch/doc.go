// Package fetch brings foreign bytes into the house: it downloads over https
// and http, opens local files and directories, and decompresses by content.
//
// What it promises:
//
//  1. A download is whole or it is an error. A body that ends early, changes
//     between two attempts or exceeds its limit is never handed out.
//  2. Nothing is held in memory but small buffers: bodies go to a temporary
//     file that is gone after Close, and at once where the download fails.
//  3. A fingerprint that still holds costs one request and gives
//     clair.ErrUnchanged.
//  4. Passwords and tokens in an address do not appear in errors.
//
// It knows no format of feeds and nothing of what the bytes mean.
package fetch
