package severity

import (
	"encoding/json"
	"fmt"
	"strings"

	"oriel/clair"
)

// Evidence has the scores of the enrichments of one vulnerability. If it names
// several CVEs, the greatest score of each kind counts.
type Evidence struct {
	// KEV reports that the vulnerability is known to be exploited, and
	// Ransomware that ransomware is known to use it.
	KEV        bool `json:"kev"`
	Ransomware bool `json:"-"`
	// EPSS is the probability of exploitation within 30 days, nil if it is
	// unknown. Percentile belongs to it.
	EPSS       *float64 `json:"epss"`
	Percentile float64  `json:"-"`
	// CVSS is the base score, nil if it is unknown. Vector belongs to it.
	CVSS   *float64 `json:"cvss"`
	Vector string   `json:"-"`
}

// Merge returns the evidence of both.
func (e Evidence) Merge(o Evidence) Evidence {
	e.KEV, e.Ransomware = e.KEV || o.KEV, e.Ransomware || o.Ransomware
	if known(o.EPSS) > known(e.EPSS) {
		e.EPSS, e.Percentile = o.EPSS, o.Percentile
	}
	if known(o.CVSS) > known(e.CVSS) {
		e.CVSS, e.Vector = o.CVSS, o.Vector
	}
	return e
}

// known returns a score, or -1 if it is unknown.
func known(score *float64) float64 {
	if score == nil {
		return -1
	}
	return *score
}

// record is the union of the records of the media types that count.
type record struct {
	EPSS       *float64 `json:"epss"`
	Percentile float64  `json:"percentile"`
	Score      *float64 `json:"baseScore"`
	Vector     string   `json:"vectorString"`
	Ransomware string   `json:"known_ransomware_campaign_use"`
}

func (r record) evidence(mediaType string) Evidence {
	switch mediaType {
	case clair.TypeKEV:
		return Evidence{KEV: true, Ransomware: strings.EqualFold(r.Ransomware, "known")}
	case clair.TypeEPSS:
		return Evidence{EPSS: r.EPSS, Percentile: r.Percentile}
	case clair.TypeCVSS:
		return Evidence{CVSS: r.Score, Vector: r.Vector}
	}
	return Evidence{}
}

// ReadEvidence reads the messages of an enrichment, by vulnerability id. The
// messages of other media types than Clair's CVSS, EPSS and KEV need only be
// JSON and are no evidence. The error is an ErrInvalid.
func ReadEvidence(mediaType string, messages []json.RawMessage) (map[string]Evidence, error) {
	if mediaType != clair.TypeCVSS && mediaType != clair.TypeEPSS && mediaType != clair.TypeKEV {
		for _, m := range messages {
			if !json.Valid(m) {
				return nil, fmt.Errorf("%w: the message is not JSON", clair.ErrInvalid)
			}
		}
		return nil, nil
	}
	out := map[string]Evidence{}
	for _, m := range messages {
		var byID map[string][]record
		if err := json.Unmarshal(m, &byID); err != nil {
			return nil, fmt.Errorf("%w: read the message: %w", clair.ErrInvalid, err)
		}
		for id, records := range byID {
			for _, r := range records {
				out[id] = out[id].Merge(r.evidence(mediaType))
			}
		}
	}
	return out, nil
}
