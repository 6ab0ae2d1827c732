package bundle_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/internal/bundle"
)

// feeds is a source in memory.
type feeds []feed

type feed struct {
	clair.FeedState
	vulns   []*clair.Vulnerability
	records []clair.EnrichmentRecord
	fail    error // in place of the end
}

func (f feeds) States() []clair.FeedState {
	var out []clair.FeedState
	for _, one := range f {
		out = append(out, one.FeedState)
	}
	return out
}

func (f feeds) Contents(context.Context) iter.Seq2[*clair.FeedContent, error] {
	return func(yield func(*clair.FeedContent, error) bool) {
		for _, one := range f {
			c := &clair.FeedContent{
				FeedState:       one.FeedState,
				Vulnerabilities: all(one.vulns, one.fail),
				Enrichments:     all(one.records, one.fail),
			}
			if !yield(c, nil) {
				return
			}
		}
	}
}

func all[T any](list []T, fail error) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, v := range list {
			if !yield(v, nil) {
				return
			}
		}
		if fail != nil {
			var zero T
			yield(zero, fail)
		}
	}
}

// read returns the whole content of a source, without the ids of places.
func read(t testing.TB, src bundle.Source) (out feeds) {
	t.Helper()
	for c, err := range src.Contents(t.Context()) {
		require.NoError(t, err)
		one := feed{FeedState: c.FeedState}
		if c.Kind == clair.KindEnrichment {
			for r, err := range c.Enrichments {
				require.NoError(t, err)
				one.records = append(one.records, r)
			}
		} else {
			for v, err := range c.Vulnerabilities {
				require.NoError(t, err)
				one.vulns = append(one.vulns, v)
			}
		}
		out = append(out, one)
	}
	return out
}

func state(updater string, kind clair.Kind, format string) clair.FeedState {
	day := time.Date(2026, 11, 20, 10, 0, 0, 123_000_000, time.UTC)
	return clair.FeedState{
		UpdateOperation: clair.UpdateOperation{
			Ref:         uuid.NewSHA1(uuid.Nil, []byte(updater+string(kind))),
			Updater:     updater,
			Kind:        kind,
			Fingerprint: clair.Fingerprint("fp of " + updater),
			Date:        day,
		},
		Format:  format,
		Checked: day.Add(time.Hour),
	}
}

// texts are texts as feeds have them, and worse.
var texts = []string{
	"", " ", "a", "<b>&amp;</b>", "line\nbreak\r\ttab", "quote\"back\\slash", "nul\x00byte", "\u2028\u2029", "日本語 🦦", "{\"end\":{}}",
	`{"advisory":`, strings.Repeat("long ", 300), "fixed=1.0&introduced=0", "cpe:2.3:o:redhat:enterprise_linux:9:*:*:*:*:*:*:*",
}

// random makes feeds with every field that a row can have.
func random(r *rand.Rand) feeds {
	text := func() string { return texts[r.IntN(len(texts))] }
	vulns := feed{FeedState: state("osv/Go, \"quoted\"", clair.KindVulnerability, "osv")}
	for range r.IntN(12) {
		shared := clair.Vulnerability{
			Updater:            vulns.Updater,
			Name:               text(),
			Description:        text(),
			Links:              text(),
			Severity:           text(),
			NormalizedSeverity: clair.Severity(r.IntN(6)),
		}
		if r.IntN(2) == 0 {
			shared.Issued = time.Unix(r.Int64N(4e9)-1e9, 0).UTC()
		}
		if r.IntN(4) == 0 {
			shared.Description = strings.Repeat(text(), 1000)
		}
		for range r.IntN(3) {
			shared.Aliases = append(shared.Aliases, text())
		}
		for range r.IntN(3) * r.IntN(300) {
			v := shared
			v.Package = &clair.Package{
				Name:    text(),
				Version: text(),
				Kind:    text(),
				Module:  text(),
				Arch:    text(),
			}
			v.FixedInVersion, v.ArchOperation = text(), clair.ArchOp(text())
			if r.IntN(2) == 0 {
				v.Range = &clair.Range{Lower: text(), Upper: text()}
			}
			if r.IntN(2) == 0 {
				v.Dist = &clair.Distribution{
					DID:             text(),
					Name:            text(),
					Version:         text(),
					VersionCodeName: text(),
					VersionID:       text(),
					Arch:            text(),
					CPE:             text(),
					PrettyName:      text(),
				}
			}
			if r.IntN(2) == 0 {
				v.Repo = &clair.Repository{
					Name: text(),
					Key:  text(),
					URI:  text(),
					CPE:  text(),
				}
			}
			vulns.vulns = append(vulns.vulns, &v)
		}
	}
	enrichments := feed{FeedState: state("epss", clair.KindEnrichment, "epss")}
	for range r.IntN(30) {
		data, err := json.Marshal(map[string]string{text(): text()})
		if err != nil {
			panic(err)
		}
		if r.IntN(2) == 0 {
			data = append([]byte(" \n"), data...) // its very bytes are kept
		}
		enrichments.records = append(enrichments.records, clair.EnrichmentRecord{Tags: []string{text(), "x"}, Enrichment: data})
	}
	return feeds{vulns, enrichments, {FeedState: state("empty", clair.KindVulnerability, "")}}
}

func write(t testing.TB, src bundle.Source, key ed25519.PrivateKey) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := bundle.Write(context.Background(), &b, src, bundle.Options{Key: key, By: "test"})
	require.NoError(t, err)
	require.EqualValues(t, b.Len(), w.Bytes)
	return b.Bytes()
}

func open(b []byte, keys ...ed25519.PublicKey) (*bundle.Bundle, error) {
	return bundle.Open(context.Background(), bytes.NewReader(b), int64(len(b)), keys...)
}

// TestBundle checks that reading a bundle returns every byte of every field that was
// written, and writing that again makes the same bundle.
func TestBundle(t *testing.T) {
	for seed := range uint64(8) {
		want := random(rand.New(rand.NewPCG(seed, 1)))
		b := write(t, want, nil)
		got, err := open(b)
		require.NoError(t, err)
		require.Equal(t, want.States(), got.States())
		require.Equal(t, want, read(t, got))
		require.Equal(t, b, write(t, got, nil))
		require.Equal(t, "test", got.By())
	}
}

// Feeds may be skipped, or read in part.
func TestBundle_Partly(t *testing.T) {
	want := random(rand.New(rand.NewPCG(7, 1)))
	require.NotEmpty(t, want[0].vulns)
	require.NotEmpty(t, want[1].records)
	b, err := open(write(t, want, nil))
	require.NoError(t, err)
	var names []string
	for c, err := range b.Contents(t.Context()) {
		require.NoError(t, err)
		names = append(names, c.Updater)
		if c.Kind == clair.KindVulnerability && len(names) == 1 {
			for _, err := range c.Vulnerabilities {
				require.NoError(t, err)
				break
			}
		}
	}
	require.Equal(t, []string{want[0].Updater, "epss", "empty"}, names)
	for c, err := range b.Contents(t.Context()) {
		require.NoError(t, err)
		require.Equal(t, want[0].Updater, c.Updater)
		break
	}
}

// small is a bundle that is small enough to change every byte of it.
func small(t testing.TB, key ed25519.PrivateKey) []byte {
	t.Helper()
	return write(t, feeds{
		{FeedState: state("osv/Go", clair.KindVulnerability, "osv"), vulns: []*clair.Vulnerability{{
			Name: "GO-1", Description: "about it", Package: &clair.Package{Name: "p"}, Repo: &clair.Repository{Name: "go"}, FixedInVersion: "fixed=1",
		}}},
		{FeedState: state("epss", clair.KindEnrichment, "epss"), records: []clair.EnrichmentRecord{{Tags: []string{"CVE-1"}, Enrichment: json.RawMessage(`{"epss":1}`)}}},
	}, key)
}

// A bundle is refused if any byte is changed, any part of its end is cut off,
// or anything follows it.
func TestOpen_Damaged(t *testing.T) {
	_, key, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	for _, b := range [][]byte{small(t, nil), small(t, key)} {
		_, err := open(b)
		require.NoError(t, err)
		for i := range b {
			for _, flip := range []byte{1, 0x80, 0xff} {
				c := bytes.Clone(b)
				c[i] ^= flip
				_, err := open(c)
				require.ErrorIs(t, err, clair.ErrInvalid, "byte %d of %d", i, len(b))
			}
			_, err := open(b[:i])
			require.ErrorIs(t, err, clair.ErrInvalid, "cut to %d of %d", i, len(b))
		}
		for _, more := range [][]byte{{0}, b, b[len(b)-104:]} {
			_, err := open(append(bytes.Clone(b), more...))
			require.ErrorIs(t, err, clair.ErrInvalid)
		}
	}
}

func TestOpen_Signature(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	other, _, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	signed, plain := small(t, private), small(t, nil)
	b, err := open(signed, other, public)
	require.NoError(t, err)
	require.True(t, b.Signed())
	_, err = open(signed, other)
	require.ErrorContains(t, err, "not by a key that is trusted here")
	_, err = open(plain, public)
	require.ErrorContains(t, err, "not signed")
	b, err = open(plain)
	require.NoError(t, err)
	require.False(t, b.Signed())

	// Another bundle's signature is refused, although the checksum matches.
	const tail, signature = 104, 8
	forged := append(bytes.Clone(plain[:len(plain)-tail+signature]), signed[len(signed)-tail+signature:len(signed)-sha256.Size]...)
	forged[10]++
	sum := sha256.Sum256(forged)
	_, err = open(append(forged, sum[:]...), public)
	require.ErrorIs(t, err, clair.ErrInvalid)
}

// seal makes a bundle of lines, with the right checksum.
func seal(t testing.TB, lines ...string) []byte {
	t.Helper()
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(64<<10))
	require.NoError(t, err)
	b := z.EncodeAll([]byte(strings.Join(lines, "\n")+"\n"), nil)
	b = append(b, 0x5f, 0x2a, 0x4d, 0x18, 96, 0, 0, 0)
	b = append(b, make([]byte, ed25519.SignatureSize)...)
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

// endOf returns the end line of a feed with these lines.
func endOf(kind string, records, rows int, lines ...string) string {
	h := sha256.New()
	for _, l := range lines {
		_, _ = io.WriteString(h, l+"\n")
	}
	return fmt.Sprintf(`{"end":{"updater":"a","kind":%q,"records":%d,"rows":%d,"sha256":"%x"}}`, kind, records, rows, h.Sum(nil))
}

const (
	headA    = `{"oriel_bundle":1,"as_of":"2026-01-01T00:00:00Z","by":"x","feeds":[{"ref":"11111111-1111-4111-8111-111111111111","updater":"a","fingerprint":"f","date":"2026-01-01T00:00:00Z","kind":"vulnerability"}]}`
	advisory = `{"advisory":{"name":"A","normalized_severity":"High","rows":[{"package":"p"}]}}`
)

// These bundles have the right checksum, but no writer would write them.
func TestOpen_Odd(t *testing.T) {
	v := "vulnerability"
	_, err := open(seal(t, headA, advisory, endOf(v, 1, 1, advisory)))
	require.NoError(t, err)
	for name, c := range map[string]struct {
		says  string
		lines []string
	}{
		"newer":          {"version 2, made by a newer Oriel; this one reads version 1", []string{`{"oriel_bundle":2,"feeds":"something else"}`, "and more"}},
		"no version":     {"0 is no version", []string{`{"oriel_bundle":0}`}},
		"not a number":   {"its head", []string{`{"oriel_bundle":"1"}`}},
		"other":          {"not a bundle", []string{`{"Updater":"x"}`}},
		"bad feeds":      {"its head", []string{`{"oriel_bundle":1,"feeds":3}`}},
		"no end":         {"it has no end", []string{headA, advisory}},
		"other end":      {"not those that its end speaks of", []string{headA, advisory, strings.Replace(endOf(v, 1, 1, advisory), `"a"`, `"b"`, 1)}},
		"other sum":      {"not those that its end speaks of", []string{headA, advisory, endOf(v, 1, 1, "x")}},
		"other count":    {"not those that its end speaks of", []string{headA, advisory, endOf(v, 2, 1, advisory)}},
		"end not json":   {"its end cannot be read", []string{headA, `{"end":`}},
		"something more": {"something follows", []string{headA, endOf(v, 0, 0), advisory}},
		"feed twice":     {"is there twice", []string{strings.Replace(headA, `"feeds":[`, `"feeds":[{"updater":"a","kind":"vulnerability"},`, 1)}},
		"no kind":        {"is not a kind of operation", []string{strings.Replace(headA, `"kind":"vulnerability"`, `"kind":"x"`, 1)}},
		"no name":        {"has no name", []string{strings.Replace(headA, `"updater":"a"`, `"updater":""`, 1)}},
	} {
		_, err := open(seal(t, c.lines...))
		require.ErrorContains(t, err, c.says, name)
		require.ErrorIs(t, err, clair.ErrInvalid, name)
	}
	// Faults that only reading the rows can find are reported before the rows
	// end.
	for name, c := range map[string]struct {
		says string
		line string
	}{
		"not json":      {"not JSON of a bundle", `{"advisory":{`},
		"wrong kind":    {"an enrichment among vulnerabilities", `{"enrichment":{"tags":["t"],"data":"{}"}}`},
		"rows":          {"not those that its end speaks of", `{"advisory":{"name":"A","normalized_severity":"High","rows":[{"package":"p"},{"package":"q"}]}}`},
		"no place":      {`distribution "7" is not there`, `{"advisory":{"name":"A","normalized_severity":"High","rows":[{"package":"p","distribution":"7"}]}}`},
		"no repository": {`repository "7" is not there`, `{"advisory":{"name":"A","normalized_severity":"High","rows":[{"package":"p","repository":"7"}]}}`},
	} {
		b, err := open(seal(t, headA, c.line, endOf(v, 1, 1, c.line)))
		require.NoError(t, err, name)
		require.ErrorContains(t, drain(b), c.says, name)
	}
}

// drain reads all rows and returns the first error.
func drain(b *bundle.Bundle) error {
	for c, err := range b.Contents(context.Background()) {
		if err != nil {
			return err
		}
		if c.Kind == clair.KindEnrichment {
			for _, err := range c.Enrichments {
				if err != nil {
					return err
				}
			}
			continue
		}
		for _, err := range c.Vulnerabilities {
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// changing is a file that is written to after it has been opened.
type changing struct {
	b []byte
}

func (c *changing) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(c.b).ReadAt(p, off)
}

// A file that changes after it was opened is refused.
func TestBundle_Changed(t *testing.T) {
	was, is := seal(t, headA, advisory, endOf("vulnerability", 1, 1, advisory)), seal(t, headA, strings.Replace(advisory, `"A"`, `"B"`, 1), endOf("vulnerability", 1, 1, advisory))
	f := &changing{was}
	b, err := bundle.Open(t.Context(), f, int64(len(was)))
	require.NoError(t, err)
	require.NoError(t, drain(b))
	f.b = is
	require.ErrorIs(t, drain(b), clair.ErrInvalid)
	f.b = was[:20]
	require.Error(t, drain(b))
}

var errBroken = errors.New("broken")

// A failing source, a failing destination and an ended context are errors.
func TestWrite_Fails(t *testing.T) {
	src := feeds{{FeedState: state("a", clair.KindVulnerability, ""), fail: errBroken}}
	_, err := bundle.Write(t.Context(), io.Discard, src, bundle.Options{})
	require.ErrorIs(t, err, errBroken)
	_, err = bundle.Write(t.Context(), brokenWriter{}, feeds{}, bundle.Options{})
	require.ErrorIs(t, err, errBroken)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = bundle.Write(ctx, io.Discard, feeds{}, bundle.Options{})
	require.ErrorIs(t, err, context.Canceled)
	src = feeds{{FeedState: state("a", clair.KindVulnerability, ""), vulns: []*clair.Vulnerability{{Name: "A"}}}}
	_, err = bundle.Write(t.Context(), io.Discard, src, bundle.Options{})
	require.ErrorContains(t, err, `"A": a row without a package`)
	var places []*clair.Vulnerability
	for i := range 20 {
		places = append(places, &clair.Vulnerability{
			Name:    "A",
			Package: &clair.Package{Name: "p"},
			Repo:    &clair.Repository{Name: fmt.Sprint(i, strings.Repeat("x", 1<<20))},
		})
	}
	_, err = bundle.Write(t.Context(), io.Discard, feeds{{FeedState: state("a", clair.KindVulnerability, ""), vulns: places}}, bundle.Options{})
	require.ErrorIs(t, err, clair.ErrTooLarge, "no bundle that cannot be read")
}

// Rows with long lists of versions are written over several lines.
func TestBundle_LongRows(t *testing.T) {
	want := feeds{{FeedState: state("a", clair.KindVulnerability, "")}}
	for i := range 30 {
		want[0].vulns = append(want[0].vulns, &clair.Vulnerability{
			Updater:        "a",
			Name:           "A",
			Package:        &clair.Package{Name: fmt.Sprint(i)},
			FixedInVersion: strings.Repeat("versions=1.0.0", 10_000),
		})
	}
	got, err := open(write(t, want, nil))
	require.NoError(t, err)
	require.Equal(t, want, read(t, got))
}

// A line that does not end is not kept in memory.
func TestOpen_LongLine(t *testing.T) {
	_, err := open(seal(t, `{"oriel_bundle":1,"by":"`+strings.Repeat("x", 9<<20)+`"}`))
	require.ErrorContains(t, err, "a line of more than 8388608 bytes")
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errBroken }

// FuzzOpen reads lines with the right checksum: no content may make the reader
// panic or loop.
func FuzzOpen(f *testing.F) {
	f.Add(headA, advisory, endOf("vulnerability", 1, 1, advisory))
	f.Add(headA, `{"distribution":{"id":"1"}}`, `{"advisory":{"rows":[{"distribution":"1"}]}}`)
	f.Add(`{"oriel_bundle":1,"feeds":[]}`, "", "")
	f.Fuzz(func(t *testing.T, head, one, two string) {
		lines := []string{head, one, two}
		for _, all := range [][]string{lines, {headA, one, two, endOf("vulnerability", 2, 1, one, two)}} {
			if b, err := open(seal(t, all...)); err == nil {
				_ = drain(b)
			}
		}
		if _, err := open([]byte(head)); err == nil {
			t.Fatal("a bundle without a sum")
		}
	})
}
