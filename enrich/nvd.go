package enrich

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"oriel/clair"
	"oriel/internal/feed"
	"oriel/internal/fetch"
)

const (
	// nvdFirst is the first of NVD's yearly feeds; it includes the years
	// before.
	nvdFirst = 2002
	// nvdModified is the feed of the changes of the last eight days. It is
	// published every two hours, the yearly feeds once a day.
	nvdModified = "modified"
	// maxMeta limits a .meta file, which has five short lines.
	maxMeta = 4096
)

// nvdYears is the updater of all yearly feeds below an address. An address
// that does not name a JSON file is read this way.
//
// Each feed has a .meta file with the checksum of its JSON, and the
// fingerprint consists of these checksums. Only the .meta files are fetched
// while they are the same, and only the years that changed otherwise. The
// modified feed has newer versions of CVEs than a yearly feed, so it is read
// first and has precedence. A CVE that leaves it is in the yearly feed by
// then, which NVD publishes again every day.
type nvdYears struct {
	fileFeed
}

// FetchEnrichment reads the .meta files. The feeds themselves are fetched one
// by one while they are read, so that only one of them is on the disk.
func (n *nvdYears) FetchEnrichment(ctx context.Context, last clair.Fingerprint) (io.ReadCloser, clair.Fingerprint, error) {
	sums, err := n.sums(ctx)
	if err != nil {
		return nil, "", err
	}
	fp, err := json.Marshal(sums) // sorts the keys
	if err != nil {
		return nil, "", err
	}
	if clair.Fingerprint(fp) == last {
		return nil, "", clair.ErrUnchanged
	}
	return &nvdBody{sums: sums}, clair.Fingerprint(fp), nil
}

// FetchEnrichmentDelta does the same as FetchEnrichment for the feeds that
// have changed since.
func (n *nvdYears) FetchEnrichmentDelta(ctx context.Context, last clair.Fingerprint) (io.ReadCloser, clair.Fingerprint, error) {
	var before map[string]string
	if err := json.Unmarshal([]byte(last), &before); err != nil {
		return nil, "", fmt.Errorf("%w: the fingerprint is none of NVD's: %w", clair.ErrBase, err)
	}
	r, fp, err := n.FetchEnrichment(ctx, last)
	if err != nil {
		return nil, "", err
	}
	r.(*nvdBody).before = before
	return r, fp, nil
}

// sums returns the checksum of each feed, by year or "modified".
func (n *nvdYears) sums(ctx context.Context) (map[string]string, error) {
	sums := map[string]string{}
	this := time.Now().UTC().Year()
	for year := nvdFirst; year <= this; year++ {
		sum, err := n.sum(ctx, strconv.Itoa(year))
		if errors.Is(err, clair.ErrNotFound) && year == this && len(sums) > 0 {
			break // the new year's is not there yet
		}
		if err != nil {
			return nil, err
		}
		sums[strconv.Itoa(year)] = sum
	}
	sum, err := n.sum(ctx, nvdModified)
	if err != nil {
		return nil, err
	}
	sums[nvdModified] = sum
	return sums, nil
}

// sum reads a .meta file: lines of a name, a colon and a value.
func (n *nvdYears) sum(ctx context.Context, which string) (sum string, err error) {
	f, _, err := n.client.Get(ctx, fetch.Request{URL: n.address(which, ".meta"), MaxSize: maxMeta})
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	text, err := io.ReadAll(f)
	if err != nil {
		return "", err
	}
	for line := range bytes.Lines(text) {
		if v, ok := bytes.CutPrefix(bytes.TrimSpace(line), []byte("sha256:")); ok && len(v) == 2*sha256.Size {
			return strings.ToLower(string(v)), nil
		}
	}
	return "", feed.Malformed("%s has no checksum", fetch.Mask(n.address(which, ".meta")))
}

func (n *nvdYears) address(which, ending string) string {
	return strings.TrimSuffix(n.URL, "/") + "/nvdcve-2.0-" + which + ending
}

// nvdBody is the result of FetchEnrichment: the feeds to fetch, not their
// bytes.
type nvdBody struct {
	sums map[string]string
	// before are the checksums of the imported feeds; nil if there are none.
	before map[string]string
}

func (b *nvdBody) Read([]byte) (int, error) {
	return 0, feed.Malformed("the feeds of NVD's years are read one by one")
}

func (b *nvdBody) Close() error { return nil }

// ParseEnrichment reads the result of FetchEnrichment, or a reader of one or
// more documents.
func (n *nvdYears) ParseEnrichment(ctx context.Context, r io.ReadCloser) feed.Records {
	body, ok := r.(*nvdBody)
	if !ok {
		return n.fileFeed.ParseEnrichment(ctx, r)
	}
	return feed.EmitRecords(func(e feed.RecordEmitter) error {
		return n.readAll(ctx, body, &nvdParser{RecordEmitter: e}, func(string) error { return nil })
	})
}

// ParseEnrichmentDelta reads the result of FetchEnrichmentDelta.
func (n *nvdYears) ParseEnrichmentDelta(ctx context.Context, r io.ReadCloser) iter.Seq2[clair.EnrichmentChange, error] {
	return func(yield func(clair.EnrichmentChange, error) bool) {
		e := feed.NewRecordEmitter(func(rec clair.EnrichmentRecord, err error) bool {
			if err != nil {
				return yield(clair.EnrichmentChange{}, err)
			}
			return yield(clair.EnrichmentChange{Added: &rec}, nil)
		})
		replace := func(from, to string) error {
			if !yield(clair.EnrichmentChange{ReplacedFrom: from, ReplacedTo: to}, nil) {
				return feed.ErrStopped
			}
			return nil
		}
		p := &nvdParser{RecordEmitter: e, found: func(cve string) error { return replace(cve, cve) }}
		err := n.readAll(ctx, r.(*nvdBody), p, func(year string) error { return replace(yearTags(year)) })
		if err != nil && !errors.Is(err, feed.ErrStopped) {
			yield(clair.EnrichmentChange{}, err)
		}
	}
}

// yearTags are the first and the last tag that records of a yearly feed may
// have.
func yearTags(year string) (from, to string) {
	from = "CVE-" + year + "-"
	if year == strconv.Itoa(nvdFirst) {
		from = "CVE-"
	}
	return from, "CVE-" + year + "-~"
}

// readAll reads the modified feed, then those of the years that changed,
// before each of which it calls year.
func (n *nvdYears) readAll(ctx context.Context, body *nvdBody, p *nvdParser, year func(string) error) error {
	p.done, p.newer = map[string]struct{}{}, true
	if err := n.read(ctx, body, nvdModified, p); err != nil {
		return err
	}
	p.newer = false
	for _, which := range slices.Sorted(maps.Keys(body.sums)) {
		if which == nvdModified || body.sums[which] == body.before[which] {
			continue
		}
		if err := year(which); err != nil {
			return err
		}
		if err := n.read(ctx, body, which, p); err != nil {
			return err
		}
	}
	return p.verdict()
}

// read fetches and parses one feed, which must match its .meta file.
func (n *nvdYears) read(ctx context.Context, body *nvdBody, which string, p *nvdParser) (err error) {
	f, _, err := n.client.Get(ctx, fetch.Request{URL: n.address(which, ".json.gz"), MaxSize: n.Bytes(feed.MaxSizeOption)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	z, err := fetch.Decompress(feed.WithContext(ctx, f))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, z.Close()) }()
	sum := &summed{r: z, hash: sha256.New()}
	if err := p.parse(sum); err != nil {
		return fmt.Errorf("%s: %w", which, err)
	}
	if got := hex.EncodeToString(sum.hash.Sum(nil)); got != body.sums[which] {
		// Either it was replaced between the two requests, or it is damaged.
		return fmt.Errorf("%w: the feed of %s has not the checksum of its .meta file", clair.ErrUnavailable, which)
	}
	return nil
}

// summed computes the checksum of the bytes that are read.
type summed struct {
	r    io.Reader
	hash hash.Hash
}

func (s *summed) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.hash.Write(p[:n])
	return n, err
}
