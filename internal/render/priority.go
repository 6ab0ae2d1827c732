package render

import (
	"cmp"
	"encoding/json"
	"strings"

	"oriel/clair"
)

// Priority is how pressing a vulnerability is. Any of it may be absent.
type Priority struct {
	// Level says it in a word: "exploited", "likely" or what the caller says.
	Level string
	// KEV says that it is in CISA's catalog of known exploited ones, and
	// Ransomware that it is known to be used so.
	KEV, Ransomware bool
	// EPSS is the probability of exploitation within 30 days; 0 is unknown,
	// since no score is that low. Percentile goes with it.
	EPSS, Percentile float64
	// CVSS is the base score; it is known where it is not 0 or Vector is set.
	CVSS   float64
	Vector string
}

// likely is the EPSS score from which a vulnerability is called likely to be
// exploited: about one in thirty has it.
const likely = 0.1

func (p Priority) clean() Priority {
	p.Level, p.Vector = clean(p.Level), clean(p.Vector)
	if p.Level == "" {
		p.Level = p.level()
	}
	return p
}

func (p Priority) level() string {
	switch {
	case p.KEV:
		return "exploited"
	case p.EPSS >= likely:
		return "likely"
	}
	return ""
}

// comparePriorities orders by what is known of exploitation, then by its
// probability, then by how bad it would be.
func comparePriorities(a, b *Vulnerability) int {
	return cmp.Or(
		cmp.Compare(count(a.Priority.KEV), count(b.Priority.KEV)),
		cmp.Compare(a.Priority.EPSS, b.Priority.EPSS),
		cmp.Compare(a.Priority.CVSS, b.Priority.CVSS),
		cmp.Compare(a.Severity, b.Severity),
	)
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Priorities reads the enrichments of Clair's own kinds, by vulnerability id.
// A vulnerability that names several CVEs has the highest score of each kind.
// What cannot be read is left out.
func Priorities(all clair.Enrichments) map[string]Priority {
	out := map[string]Priority{}
	for _, e := range all {
		take := taker(e.Type)
		if take == nil {
			continue
		}
		for _, m := range e.Messages {
			var byID map[string][]json.RawMessage
			if json.Unmarshal(m, &byID) != nil {
				continue
			}
			for id, records := range byID {
				p := out[id]
				for _, r := range records {
					take(&p, r)
				}
				out[id] = p
			}
		}
	}
	return out
}

// taker is what reads the records of a media type, nil where none does.
func taker(media string) func(*Priority, json.RawMessage) {
	_, params, _ := strings.Cut(media, "enricher=")
	name, _, _ := strings.Cut(params, " ")
	switch name {
	case "clair.cvss":
		return takeCVSS
	case "clair.epss":
		return takeEPSS
	case "clair.kev":
		return takeKEV
	}
	return nil
}

func takeCVSS(p *Priority, raw json.RawMessage) {
	var r struct {
		Score  float64 `json:"baseScore"`
		Vector string  `json:"vectorString"`
	}
	if json.Unmarshal(raw, &r) == nil && (r.Score > p.CVSS || p.Vector == "") && r.Score >= 0 && r.Score <= 10 {
		p.CVSS, p.Vector = r.Score, r.Vector
	}
}

func takeEPSS(p *Priority, raw json.RawMessage) {
	var r struct {
		Score      float64 `json:"epss"`
		Percentile float64 `json:"percentile"`
	}
	if json.Unmarshal(raw, &r) == nil && r.Score > p.EPSS && r.Score <= 1 {
		p.EPSS, p.Percentile = r.Score, r.Percentile
	}
}

func takeKEV(p *Priority, raw json.RawMessage) {
	var r struct {
		Ransomware string `json:"known_ransomware_campaign_use"`
	}
	if json.Unmarshal(raw, &r) == nil {
		p.KEV = true
		p.Ransomware = p.Ransomware || strings.EqualFold(r.Ransomware, "known")
	}
}
