package oval

import (
	"encoding/xml"
	"fmt"
	"hash/maphash"
	"io"
	"strings"

	"oriel/clair"
	"oriel/internal/feed"
)

// ovalIndex has the objects that definitions refer to by id: tests, and the
// objects, states and variables that these refer to in turn. Ids are stored as
// 64-bit hashes and texts only once, so that an entry takes about 50 bytes;
// maxOVALEntries limits their number. SUSE's largest files have some 500,000.
type ovalIndex struct {
	seed      maphash.Seed
	tests     map[uint64]ovalTest
	more      map[uint64][]uint64 // further states of the few tests that have them
	objects   map[uint64]ovalObject
	states    map[uint64]ovalStateRef
	variables map[uint64][]string
	texts     []string
	known     map[string]uint32 // indexes into texts
	entries   int
}

// maxOVALEntries is the number of tests, objects, states and values of
// variables that a document may have.
const maxOVALEntries = 1 << 20

// ovalTest compares an installed package with a state; a test without one, 0,
// only tests whether the package is installed.
type ovalTest struct{ object, state uint64 }

// ovalObject names a package, or the variable that has the names.
type ovalObject struct {
	name     uint32
	variable uint64
}

// ovalState is compared with a package. States about something else than a
// version with a release and an architecture are empty.
type ovalState struct{ evr, op, arch, archOp string }

// ovalStateRef is a state as indexes of its texts.
type ovalStateRef struct{ evr, op, arch, archOp uint32 }

func newOVALIndex() *ovalIndex {
	return &ovalIndex{
		seed: maphash.MakeSeed(), tests: map[uint64]ovalTest{}, more: map[uint64][]uint64{}, objects: map[uint64]ovalObject{},
		states: map[uint64]ovalStateRef{}, variables: map[uint64][]string{}, texts: []string{""}, known: map[string]uint32{"": 0},
	}
}

func (x *ovalIndex) key(id string) uint64 {
	if id == "" {
		return 0
	}
	return maphash.String(x.seed, id)
}

// text stores a text once, as a copy, because the decoder's string may be part
// of a larger one.
func (x *ovalIndex) text(s string) uint32 {
	s = strings.TrimSpace(s)
	if i, ok := x.known[s]; ok {
		return i
	}
	s = strings.Clone(s)
	i := uint32(len(x.texts)) // of which maxOVALEntries keeps the number small
	x.texts, x.known[s] = append(x.texts, s), i
	return i
}

// read fills the index in one pass over a document.
func (x *ovalIndex) read(r io.Reader) error {
	return feed.XMLElements(r, "oval_definitions", func(dec *xml.Decoder, start xml.StartElement) error {
		name := start.Name.Local
		var err error
		switch {
		case name == "definition":
			return dec.Skip()
		case strings.HasSuffix(name, "_test"):
			err = x.readTest(dec, start)
		case strings.HasSuffix(name, "_object"):
			err = x.readObject(dec, start)
		case strings.HasSuffix(name, "_state"):
			err = x.readState(dec, start)
		case strings.HasSuffix(name, "_variable"):
			err = x.readVariable(dec, start)
		default:
			return nil
		}
		if x.entries > maxOVALEntries {
			return fmt.Errorf("%w: an OVAL document of more than %d tests, objects and states", clair.ErrTooLarge, maxOVALEntries)
		}
		return err
	})
}

func (x *ovalIndex) readTest(dec *xml.Decoder, start xml.StartElement) error {
	var t struct {
		Object struct {
			Ref string `xml:"object_ref,attr"`
		} `xml:"object"`
		States []struct {
			Ref string `xml:"state_ref,attr"`
		} `xml:"state"`
	}
	if err := feed.DecodeXML(dec, start, &t); err != nil {
		return err
	}
	id, test := x.key(feed.Attr(start, "id")), ovalTest{object: x.key(t.Object.Ref)}
	for i, s := range t.States {
		if i == 0 {
			test.state = x.key(s.Ref)
		} else {
			x.more[id] = append(x.more[id], x.key(s.Ref))
		}
	}
	x.tests[id] = test
	x.entries += 1 + len(t.States)
	return nil
}

func (x *ovalIndex) readObject(dec *xml.Decoder, start xml.StartElement) error {
	var o struct {
		Name struct {
			Var  string `xml:"var_ref,attr"`
			Text string `xml:",chardata"`
		} `xml:"name"`
	}
	if err := feed.DecodeXML(dec, start, &o); err != nil {
		return err
	}
	x.objects[x.key(feed.Attr(start, "id"))] = ovalObject{name: x.text(o.Name.Text), variable: x.key(o.Name.Var)}
	x.entries++
	return nil
}

// ovalValue is an element of a state: a text and the comparison.
type ovalValue struct {
	Op   string `xml:"operation,attr"`
	Text string `xml:",chardata"`
}

func (x *ovalIndex) readState(dec *xml.Decoder, start xml.StartElement) error {
	var s struct {
		EVR  ovalValue `xml:"evr"`
		Arch ovalValue `xml:"arch"`
	}
	if err := feed.DecodeXML(dec, start, &s); err != nil {
		return err
	}
	x.states[x.key(feed.Attr(start, "id"))] = ovalStateRef{
		evr: x.text(s.EVR.Text), op: x.text(s.EVR.Op), arch: x.text(s.Arch.Text), archOp: x.text(s.Arch.Op),
	}
	x.entries++
	return nil
}

func (x *ovalIndex) readVariable(dec *xml.Decoder, start xml.StartElement) error {
	var v struct {
		Values []string `xml:"value"`
	}
	if err := feed.DecodeXML(dec, start, &v); err != nil {
		return err
	}
	var names []string
	for _, name := range v.Values {
		names = append(names, x.texts[x.text(name)])
	}
	x.variables[x.key(feed.Attr(start, "id"))] = names
	x.entries += 1 + len(names)
	return nil
}

// statesOf returns the states of a test, all of which must hold.
func (x *ovalIndex) statesOf(id uint64) []uint64 {
	test := x.tests[id]
	if test.state == 0 {
		return nil
	}
	return append([]uint64{test.state}, x.more[id]...)
}

// state finds a state.
func (x *ovalIndex) state(id uint64) (ovalState, bool) {
	s, ok := x.states[id]
	return ovalState{evr: x.texts[s.evr], op: x.texts[s.op], arch: x.texts[s.arch], archOp: x.texts[s.archOp]}, ok
}

// names returns the packages of an object.
func (x *ovalIndex) names(o ovalObject) []string {
	if o.variable != 0 {
		return x.variables[o.variable]
	}
	if o.name == 0 {
		return nil
	}
	return []string{x.texts[o.name]}
}
