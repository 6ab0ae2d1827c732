package patches

import (
	"cmp"
	"encoding/json"
	"io"
	"net/url"
	"slices"

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
	items, err := p.originalItems(r)
	if err != nil {
		return err
	}
	sep := []byte(`{"error":null,"vulnerabilities":[`)
	for _, item := range items {
		var out any = item
		if form == SessionKey {
			out = olderItem(*item)
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
	_, err = io.WriteString(w, `],"state":"`+string(state)+`"}`+"\n")
	return err
}

// originalItems returns the rows of a reading as items. In the original protocol
// a vulnerability lists all its packages, while each row has one: the rows of the
// page with the same name become one item.
func (p *page) originalItems(r *window.Reading) ([]*originalItem, error) {
	var items []*originalItem
	byName := map[string]*originalItem{}
	for i := r.From; i < r.To; i++ {
		var v clair.Vulnerability
		if err := json.Unmarshal(p.slice(i, i+1), &v); err != nil {
			return nil, err
		}
		item := byName[v.Name]
		if item == nil {
			item = &originalItem{Name: v.Name, AffectedPlatform: r.Session.Platform, FixedIn: []originalFixed{}}
			byName[v.Name] = item
			items = append(items, item)
		}
		item.add(&v)
	}
	return items, nil
}

// add adds the package of a row, and the row's link if the item has none. The
// severity is that of the most severe row: unknown, negligible, low, medium,
// high, urgent and critical are 0 to 6; Clair has no "urgent".
func (item *originalItem) add(v *clair.Vulnerability) {
	severity := int(v.NormalizedSeverity)
	if v.NormalizedSeverity == clair.Critical {
		severity++
	}
	item.Severity = max(item.Severity, severity)
	item.DetailsHref = cmp.Or(item.DetailsHref, firstLink(v.Links))
	if v.Package == nil {
		return
	}
	fixed := originalFixed{v.Package.Name, fixedVersion(v)}
	if !slices.Contains(item.FixedIn, fixed) {
		item.FixedIn = append(item.FixedIn, fixed)
	}
}

// fixedVersion returns the version that fixes a vulnerability, "" if there is
// none.
func fixedVersion(v *clair.Vulnerability) string {
	if v.Repo != nil {
		if _, ok := clair.EcosystemByRepository(v.Repo.Name); ok {
			bounds, err := clair.ParseBounds(v.FixedInVersion)
			if err != nil {
				return ""
			}
			return bounds.Fixed
		}
	}
	// In Ubuntu's feed "0" means that there is no fix, in others that no version
	// is affected, which a comparison with "0" finds.
	if v.FixedInVersion == "0" && v.Dist != nil && v.Dist.DID == "ubuntu" {
		return ""
	}
	return v.FixedInVersion
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
