package enrich

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"oriel/clair"
)

// annotator is an enricher whose records are found by CVE.
type annotator struct {
	name, mediaType string
	// shared is the tag of the record whose members belong to all other records
	// of the feed; "" if there is none.
	shared string
}

// Name returns Clair's name of the enricher.
func (a annotator) Name() string { return a.name }

// Enrich returns one message: the ids of vulnerabilities with the records of
// all their CVEs.
func (a annotator) Enrich(ctx context.Context, g clair.EnrichmentGetter, r *clair.VulnerabilityReport) (string, []json.RawMessage, error) {
	named := make(map[string][]string, len(r.Vulnerabilities))
	tags := map[string]struct{}{}
	for id, v := range r.Vulnerabilities {
		cves := CVEs(v)
		if len(cves) > 0 {
			named[id] = cves
		}
		for _, c := range cves {
			tags[c] = struct{}{}
		}
	}
	if len(tags) == 0 {
		return a.mediaType, nil, nil
	}
	if a.shared != "" {
		tags[a.shared] = struct{}{}
	}
	records, err := g.GetEnrichment(ctx, slices.Sorted(maps.Keys(tags)))
	if err != nil {
		return a.mediaType, nil, fmt.Errorf("%s: %w", a.name, err)
	}
	msg := a.message(named, a.byTag(records))
	if msg == nil {
		return a.mediaType, nil, nil
	}
	return a.mediaType, []json.RawMessage{msg}, nil
}

// byTag returns complete records by their tags.
func (a annotator) byTag(records []clair.EnrichmentRecord) map[string][]json.RawMessage {
	var shared json.RawMessage
	if a.shared != "" {
		// If there are several feeds, the newest one counts: all feeds of a
		// format are copies of one publisher's.
		for _, r := range records {
			if slices.Contains(r.Tags, a.shared) && bytes.Compare(r.Enrichment, shared) > 0 {
				shared = r.Enrichment
			}
		}
	}
	out := make(map[string][]json.RawMessage, len(records))
	for _, r := range records {
		if a.shared != "" && slices.Contains(r.Tags, a.shared) {
			continue
		}
		whole := join(shared, r.Enrichment)
		for _, tag := range r.Tags {
			out[tag] = append(out[tag], whole)
		}
	}
	return out
}

// join combines the members of two JSON objects in one.
func join(a, b json.RawMessage) json.RawMessage {
	const empty = len("{}")
	if len(a) <= empty || len(b) <= empty {
		return b
	}
	out := make(json.RawMessage, 0, len(a)+len(b)-1)
	out = append(append(out, a[:len(a)-1]...), ',')
	return append(out, b[1:]...)
}

// message writes the JSON by hand, because its parts are already JSON and
// would be parsed once more. It returns nil if there are no records.
func (a annotator) message(named map[string][]string, byTag map[string][]json.RawMessage) json.RawMessage {
	size := 0
	for id, cves := range named {
		size += len(id) + len(`"":[],`)
		for _, cve := range cves {
			for _, record := range byTag[cve] {
				size += len(record) + 1
			}
		}
	}
	msg := make(json.RawMessage, 0, size)
	for _, id := range slices.Sorted(maps.Keys(named)) {
		separator := byte('[')
		for _, cve := range named[id] {
			for _, record := range byTag[cve] {
				if separator == '[' {
					msg = append(msg, ',')
					msg = strconv.AppendQuote(msg, id)
					msg = append(msg, ':')
				}
				msg = append(append(msg, separator), record...)
				separator = ','
			}
		}
		if separator == ',' {
			msg = append(msg, ']')
		}
	}
	if len(msg) == 0 {
		return nil
	}
	msg[0] = '{' // in place of the first comma
	return append(msg, '}')
}
