// Package api is what both ends of Oriel's HTTP API share: the paths and JSON
// bodies that the server answers with and that commands and other clients
// read. Clair's own bodies are in package clair.
package api
