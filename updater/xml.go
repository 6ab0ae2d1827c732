package updater

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"

	"oriel/clair"
)

// maxElement bounds the elements of an XML feed that are read as a whole, and
// so the memory that a hostile one can ask for.
const maxElement = 16 << 20

// xmlElements calls visit for every element inside of the root at any depth;
// visit may decode the element, else its children are visited next. A
// document with a DTD is refused, since none of these feeds has one and
// entities are how XML is made to explode. One that ends early or has another
// root is an error.
func xmlElements(r io.Reader, root string, visit func(*xml.Decoder, xml.StartElement) error) error {
	limit := &elementReader{r: r, limit: maxElement}
	dec := xml.NewDecoder(limit)
	seen, over := false, false
	for {
		limit.left = limit.limit
		token, err := dec.Token()
		if errors.Is(err, io.EOF) && over {
			return nil
		}
		if err != nil {
			return fmt.Errorf("XML at byte %d: %w", dec.InputOffset(), truncated(err))
		}
		switch t := token.(type) {
		case xml.Directive:
			return badFeed("the XML declares a document type")
		case xml.EndElement:
			over = over || t.Name.Local == root
		case xml.CharData:
			if over && len(bytes.TrimSpace(t)) > 0 {
				return badFeed("something follows the end of the XML")
			}
		case xml.StartElement:
			if over {
				return badFeed("a second document follows the XML")
			}
			if !seen && t.Name.Local != root {
				return badFeed("the XML is a %.40q, not a %s", t.Name.Local, root)
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

// elementReader fails once an element is larger than its bound.
type elementReader struct {
	r           io.Reader
	left, limit int
}

func (e *elementReader) Read(p []byte) (int, error) {
	if e.left <= 0 {
		return 0, fmt.Errorf("%w: a record of more than %d bytes", clair.ErrTooLarge, e.limit)
	}
	n, err := e.r.Read(p)
	e.left -= n
	return n, err
}

// decodeXML reads an element whole.
func decodeXML(dec *xml.Decoder, start xml.StartElement, into any) error {
	if err := dec.DecodeElement(into, &start); err != nil {
		return fmt.Errorf("XML element %s before byte %d: %w", start.Name.Local, dec.InputOffset(), truncated(err))
	}
	return nil
}

// attr is the value of an attribute, "" where there is none.
func attr(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}
