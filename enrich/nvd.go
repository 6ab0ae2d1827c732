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
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"oriel/clair"
	"oriel/fetch"
)

const (
	// nvdFirst is the first of NVD's yearly feeds, which has the years before
	// it too.
	nvdFirst = 2002
	// nvdModified is the feed of what changed in the last eight days. It is
	// made every two hours, the yearly feeds once a day.
	nvdModified = "modified"
	// maxMeta bounds a .meta file, which has five short lines.
	maxMeta = 4096
)

// nvdYears is the updater of all yearly feeds below an address, which is what
// an address that names no JSON file stands for.
//
// Each has a .meta file with the checksum of its JSON, and the fingerprint is
// these checksums. Nothing is fetched beyond the .meta files while they stay;
// once one changes all are read again, since an operation is the whole of a
// feed. What the modified feed has is newer than the same in a yearly feed, so
// it is read first and takes its place.
type nvdYears struct {
	feed
}

// FetchEnrichment reads the .meta files. The feeds themselves are fetched one
// by one while they are read, so that only one of them lies on the disk.
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

// sums gives the checksum of each feed there is, by year or "modified".
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
	return "", badFeed("%s has no checksum", fetch.Mask(n.address(which, ".meta")))
}

func (n *nvdYears) address(which, ending string) string {
	return strings.TrimSuffix(n.URL, "/") + "/nvdcve-2.0-" + which + ending
}

// nvdBody is what FetchEnrichment hands on: not bytes, but what to fetch.
type nvdBody struct{ sums map[string]string }

func (b *nvdBody) Read([]byte) (int, error) {
	return 0, badFeed("the feeds of NVD's years are read one by one")
}

func (b *nvdBody) Close() error { return nil }

// ParseEnrichment reads what FetchEnrichment returned, or a reader of one or
// more documents.
func (n *nvdYears) ParseEnrichment(ctx context.Context, r io.ReadCloser) records {
	body, ok := r.(*nvdBody)
	if !ok {
		return n.feed.ParseEnrichment(ctx, r)
	}
	return emitting(func(e emitter) error {
		p := &nvdParser{emitter: e, done: map[string]struct{}{}, newer: true}
		if err := n.read(ctx, body, nvdModified, p); err != nil {
			return err
		}
		p.newer = false
		for _, which := range slices.Sorted(maps.Keys(body.sums)) {
			if which == nvdModified {
				continue
			}
			if err := n.read(ctx, body, which, p); err != nil {
				return err
			}
		}
		return p.verdict()
	})
}

// read fetches and parses one feed, which must be what its .meta file says.
func (n *nvdYears) read(ctx context.Context, body *nvdBody, which string, p *nvdParser) (err error) {
	f, _, err := n.client.Get(ctx, fetch.Request{URL: n.address(which, ".json.gz"), MaxSize: n.MaxSize})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	z, err := fetch.Decompress(withContext(ctx, f))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, z.Close()) }()
	sum := &summed{r: z, hash: sha256.New()}
	if err := p.parse(sum); err != nil {
		return fmt.Errorf("%s: %w", which, err)
	}
	if got := hex.EncodeToString(sum.hash.Sum(nil)); got != body.sums[which] {
		// It was replaced between the two requests, or is broken.
		return fmt.Errorf("%w: the feed of %s has not the checksum of its .meta file", clair.ErrUnavailable, which)
	}
	return nil
}

// summed sums what is read.
type summed struct {
	r    io.Reader
	hash hash.Hash
}

func (s *summed) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.hash.Write(p[:n])
	return n, err
}
