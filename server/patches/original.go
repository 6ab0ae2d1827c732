package patches

import (
	"encoding/json"
	"io"
	"net/url"

	"oriel/clair"
	"oriel/window"
)

// originalItem is a vulnerability in the requestID dialect of the original
// protocol.
type originalItem struct {
	Name             string          `json:"name"`
	AffectedPlatform string          `json:"affected_platform"`
	DetailsHref      string          `json:"details_href"`
	Severity         int             `json:"severity"`
	FixedIn          []originalFixed `json:"fixed_in"`
}

type originalFixed struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// olderItem is the same in the session dialect.
type olderItem struct {
	Name             string          `json:"name"`
	AffectedPlatform string          `json:"affectedPlatform"`
	DetailsHref      string          `json:"detailsHref"`
	Severity         int             `json:"severity"`
	FixedIn          []originalFixed `json:"fixedIn"`
}

// writeOriginal writes the rows of a reading as a response of the original
// protocol.
func (p *page) writeOriginal(w io.Writer, r *window.Reading, form Form) error {
	sep := []byte(`{"error":null,"vulnerabilities":[`)
	for i := r.From; i < r.To; i++ {
		var v clair.Vulnerability
		if err := json.Unmarshal(p.slice(i, i+1), &v); err != nil {
			return err
		}
		var out any = original(&v, r.Session.Platform)
		if form == SessionKey {
			out = olderItem(original(&v, r.Session.Platform))
		}
		text, err := json.Marshal(out)
		if err != nil {
			return err
		}
		if _, err := w.Write(append(sep, text...)); err != nil {
			return err
		}
		sep = []byte{','}
	}
	state := window.Active
	if r.Last {
		state = window.Done
	}
	_, err := io.WriteString(w, `],"state":"`+string(state)+`"}`+"\n")
	return err
}

// original converts a vulnerability to an item of the original protocol. Its
// severities are unknown, negligible, low, medium, high, urgent and critical,
// from 0 to 6; Clair has no "urgent".
func original(v *clair.Vulnerability, platform string) originalItem {
	out := originalItem{Name: v.Name, AffectedPlatform: platform, Severity: int(v.NormalizedSeverity), FixedIn: []originalFixed{}}
	if v.NormalizedSeverity == clair.Critical {
		out.Severity++
	}
	out.DetailsHref = firstLink(v.Links)
	fixed := v.FixedInVersion
	if v.Repo != nil {
		if _, ok := clair.EcosystemByRepository(v.Repo.Name); ok {
			b, err := clair.ParseBounds(fixed)
			if err != nil {
				b = clair.Bounds{}
			}
			fixed = b.Fixed
		}
	}
	if fixed != "" && fixed != "0" && v.Package != nil {
		out.FixedIn = append(out.FixedIn, originalFixed{v.Package.Name, fixed})
	}
	return out
}

// firstLink returns the first of space-separated links, "" if it is not a URL.
func firstLink(links string) string {
	for i := range len(links) {
		if links[i] == ' ' {
			links = links[:i]
			break
		}
	}
	if _, err := url.Parse(links); err != nil {
		return ""
	}
	return links
}
