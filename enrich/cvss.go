package enrich

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"oriel/clair"
	"oriel/internal/feed"
	"oriel/internal/fetch"
)

// cvss has the scores and vectors of the National Vulnerability Database.
func cvss() Enrichment {
	return Enrichment{
		Name: "cvss", Format: "nvd", Enricher: annotator{name: "clair.cvss", mediaType: clair.TypeCVSS},
		NewFeed: func(f feed.Feed, c *fetch.Client) clair.Updater {
			one := fileFeed{Feed: f, client: c, format: "nvd", version: 1, parse: parseNVD}
			if strings.Contains(path.Base(f.URL), ".json") {
				return &one
			}
			return &nvdYears{fileFeed: one}
		},
	}
}

// nvdItem is an element of a feed's list.
type nvdItem struct {
	CVE nvdCVE `json:"cve"`
}

type nvdCVE struct {
	ID        string `json:"id"`
	Status    string `json:"vulnStatus"`
	Published string `json:"published"`
	Metrics   struct {
		V31 []nvdMetric `json:"cvssMetricV31"`
		V30 []nvdMetric `json:"cvssMetricV30"`
		V40 []nvdMetric `json:"cvssMetricV40"`
		V2  []nvdMetric `json:"cvssMetricV2"`
	} `json:"metrics"`
}

// dayOf returns the date in front of a time.
func dayOf(s string) string { return s[:min(len(s), len(time.DateOnly))] }

// nvdMetric is one party's rating; the one of type Primary is NVD's own.
type nvdMetric struct {
	Type string          `json:"type"`
	Data json.RawMessage `json:"cvssData"`
}

// parseNVD reads documents of NVD's CVE API 2.0, one after the other.
func parseNVD(src io.Reader, e feed.RecordEmitter) error {
	p := nvdParser{RecordEmitter: e}
	if err := p.parse(src); err != nil {
		return err
	}
	return p.verdict()
}

// nvdParser reads one CVE at a time.
type nvdParser struct {
	feed.RecordEmitter
	// count is the number of CVEs, usable or not.
	count int
	// found, unless it is nil, is called with each CVE before its record.
	found func(cve string) error
	// done reports which CVEs have been read from a newer feed; nil if there is
	// none.
	done map[string]struct{}
	// newer makes the current feed the newer one.
	newer bool
}

// verdict returns an error if the feed had no CVE at all.
func (p *nvdParser) verdict() error {
	if p.count == 0 {
		return feed.Malformed("there is not one CVE in it")
	}
	return nil
}

func (p *nvdParser) parse(src io.Reader) error {
	r := feed.NewJSON(src)
	for first := true; first || r.More(); first = false {
		isFeed := false
		err := r.Object(func(key string) error {
			if key != "vulnerabilities" {
				return r.Skip()
			}
			isFeed = true
			return r.Array(func() error { return p.one(r) })
		})
		if err != nil {
			return err
		}
		if !isFeed {
			return feed.Malformed("no document of NVD's CVE API 2.0")
		}
	}
	return nil
}

func (p *nvdParser) one(r *feed.JSON) error {
	var item nvdItem
	err := r.Decode(&item)
	wrongType := feed.WrongType(err)
	in := &item.CVE
	p.count++
	record := fmt.Sprintf("CVE %d (%.40s)", p.count, cmp.Or(in.ID, "without an id"))
	switch {
	case wrongType:
		return p.Skip(record, feed.Malformed("%v", err))
	case err != nil:
		return fmt.Errorf("%s: %w", record, err)
	}
	cve, ok := recordCVE(in.ID)
	if !ok {
		return p.Skip(record, feed.Malformed("no CVE"))
	}
	if _, done := p.done[cve]; done {
		return nil
	}
	if p.newer {
		p.done[cve] = struct{}{}
	}
	if p.found != nil {
		if err := p.found(cve); err != nil {
			return err
		}
	}
	best := in.best()
	if best == nil || strings.EqualFold(in.Status, "Rejected") {
		return nil // not judged, as many are not yet
	}
	data, err := cvssData(best.Data)
	if err != nil {
		return p.Skip(record, err)
	}
	return p.DatedRecord(cve, data, feed.ParseDate(dayOf(in.Published)))
}

// best returns the rating to keep: by version, in the order in which clients
// can show them, and NVD's own before another's of the same version.
func (c *nvdCVE) best() *nvdMetric {
	for _, of := range [][]nvdMetric{c.Metrics.V31, c.Metrics.V30, c.Metrics.V40, c.Metrics.V2} {
		for i := range of {
			if of[i].Type == "Primary" {
				return &of[i]
			}
		}
		if len(of) > 0 {
			return &of[0]
		}
	}
	return nil
}

// cvssData checks a rating and returns its shortest form.
func cvssData(raw json.RawMessage) (json.RawMessage, error) {
	var d struct {
		Version *string  `json:"version"`
		Vector  *string  `json:"vectorString"`
		Score   *float64 `json:"baseScore"`
	}
	if err := json.Unmarshal(raw, &d); err != nil {
		return nil, feed.Malformed("cvssData: %v", err)
	}
	switch {
	case d.Version == nil || d.Vector == nil || d.Score == nil:
		return nil, feed.Malformed("cvssData without version, vectorString or baseScore")
	case *d.Score < 0 || *d.Score > 10:
		return nil, feed.Malformed("baseScore %v is not between 0 and 10", *d.Score)
	}
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		return nil, feed.Malformed("cvssData: %v", err)
	}
	return bytes.ReplaceAll(b.Bytes(), []byte(`\/`), []byte(`/`)), nil
}
