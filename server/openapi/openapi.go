// Package openapi is the description of the HTTP API: YAML files written by hand,
// one for each part, the JSON that a test of package server makes from them, so
// that the program needs no YAML parser, and a page for people.
package openapi

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
)

//go:embed *.yaml openapi.json openapi.html
var files embed.FS

// Document is the description in all its forms.
type Document struct {
	JSON, YAML, Page []byte
	// Style is the source expression of a Content-Security-Policy that permits
	// the style of the page.
	Style string
	// Tag is the entity tag of each form without its suffix.
	Tag string
}

// New assembles the description.
func New() (*Document, error) {
	d := &Document{}
	parts, err := fs.Glob(files, "*.yaml") // sorted by name
	if err != nil {
		return nil, err
	}
	for _, name := range parts {
		text, err := files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		d.YAML = append(d.YAML, text...)
	}
	if d.JSON, err = files.ReadFile("openapi.json"); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(d.JSON)
	d.Tag = hex.EncodeToString(sum[:8])
	if d.Page, err = describe(d.JSON); err != nil {
		return nil, fmt.Errorf("render the API's description: %w", err)
	}
	_, style, _ := bytes.Cut(d.Page, []byte("<style>"))
	style, _, _ = bytes.Cut(style, []byte("</style>"))
	hash := sha256.Sum256(style)
	d.Style = "'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) + "'"
	return d, nil
}
