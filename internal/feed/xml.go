package feed

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"

	"oriel/clair"
)

// MaxElement limits the elements of an XML feed that are read as a whole, and
// so the memory that a hostile feed can use.
const MaxElement = 16 << 20

// XMLElements calls visit for every element inside of the root at any depth;
// visit may decode the element, or its children are visited next. A document
// with a DTD is refused, because none of these feeds has one and entities can
// expand without limit. If the document ends early or has another root,
// XMLElements returns an error.
func XMLElements(r io.Reader, root string, visit func(*xml.Decoder, xml.StartElement) error) error {
	limit := &ElementReader{R: r, Limit: MaxElement}
	dec := xml.NewDecoder(limit)
	seen, over := false, false
	for {
		limit.Left = limit.Limit
		token, err := dec.Token()
		if errors.Is(err, io.EOF) && over {
			return nil
		}
		if err != nil {
			return fmt.Errorf("XML at byte %d: %w", dec.InputOffset(), UnexpectedEOF(err))
		}
		switch t := token.(type) {
		case xml.Directive:
			return Malformed("the XML declares a document type")
		case xml.EndElement:
			over = over || t.Name.Local == root
		case xml.CharData:
			if over && len(bytes.TrimSpace(t)) > 0 {
				return Malformed("something follows the end of the XML")
			}
		case xml.StartElement:
			if over {
				return Malformed("a second document follows the XML")
			}
			if !seen && t.Name.Local != root {
				return Malformed("the XML is a %.40q, not a %s", t.Name.Local, root)
			}
			if !seen {
				seen = true
				continue
			}
			if err := visit(dec, t); err != nil {
				return err
			}
		}
	}
}

// ElementReader fails once an element exceeds its limit.
type ElementReader struct {
	R           io.Reader
	Left, Limit int
}

func (e *ElementReader) Read(p []byte) (int, error) {
	if e.Left <= 0 {
		return 0, fmt.Errorf("%w: a record of more than %d bytes", clair.ErrTooLarge, e.Limit)
	}
	n, err := e.R.Read(p)
	e.Left -= n
	return n, err
}

// DecodeXML reads a whole element.
func DecodeXML(dec *xml.Decoder, start xml.StartElement, into any) error {
	if err := dec.DecodeElement(into, &start); err != nil {
		return fmt.Errorf("XML element %s before byte %d: %w", start.Name.Local, dec.InputOffset(), UnexpectedEOF(err))
	}
	return nil
}

// Attr returns the value of an attribute, or "" if it does not exist.
func Attr(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}
