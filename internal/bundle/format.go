package bundle

import (
	"encoding/json"
	"fmt"
	"time"

	"oriel/clair"
)

// version is that of the format.
const version = 1

const (
	// window is how far back the compressor looks. Descriptions repeat each
	// other over long stretches; the reader needs as much memory.
	window = 4 << 20
	// maxLine bounds a line. The largest record that feeds may have is 16 MiB.
	maxLine = 64 << 20
	// maxHead bounds the first, which is read before anything is known of the
	// rest.
	maxHead = 8 << 20
	// maxRows is how many rows an advisory has in one line, and maxRowBytes
	// how long they are, lists of versions being the longest part of them.
	maxRows     = 256
	maxRowBytes = 1 << 20
	// maxFeeds bounds the head.
	maxFeeds = 10_000
	// maxPlaces bounds the distributions and repositories of a feed, in bytes
	// of their lines.
	maxPlaces = 16 << 20
)

// head is the first line.
type head struct {
	Version int               `json:"oriel_bundle"`
	AsOf    time.Time         `json:"as_of"`
	By      string            `json:"by"`
	Feeds   []clair.FeedState `json:"feeds"`
}

// asOf is the latest time that the states speak of. The clock has no say, so
// that the same states make the same bundle.
func asOf(states []clair.FeedState) (t time.Time) {
	for _, s := range states {
		for _, at := range []time.Time{s.Date, s.Checked} {
			if at.After(t) {
				t = at.UTC()
			}
		}
	}
	return t
}

// line is any other line. Exactly one of its fields is set.
type line struct {
	Distribution *clair.Distribution `json:"distribution,omitempty"`
	Repository   *clair.Repository   `json:"repository,omitempty"`
	Advisory     *advisory           `json:"advisory,omitempty"`
	Enrichment   *enrichment         `json:"enrichment,omitempty"`
	End          *end                `json:"end,omitempty"`
}

// advisory is what the rows of one advisory share, and some of them.
type advisory struct {
	Name        string         `json:"name"`
	Description string         `json:"description,omitempty"`
	Issued      *int64         `json:"issued,omitempty"` // seconds since 1970
	Links       string         `json:"links,omitempty"`
	Severity    string         `json:"severity,omitempty"`
	Normalized  clair.Severity `json:"normalized_severity"`
	Aliases     []string       `json:"aliases,omitempty"`
	Rows        []row          `json:"rows"`
}

// row is an affected package. Distribution and Repository are ids of earlier
// lines.
type row struct {
	Package      string       `json:"package"`
	Version      string       `json:"version,omitempty"`
	Kind         string       `json:"kind,omitempty"`
	Module       string       `json:"module,omitempty"`
	Arch         string       `json:"arch,omitempty"`
	Distribution string       `json:"distribution,omitempty"`
	Repository   string       `json:"repository,omitempty"`
	Fixed        string       `json:"fixed_in_version,omitempty"`
	ArchOp       clair.ArchOp `json:"arch_op,omitempty"`
	Range        *clair.Range `json:"range,omitempty"`
}

// enrichment is a record. Its data is a text, so that no byte of it changes.
type enrichment struct {
	Tags []string `json:"tags"`
	Data string   `json:"data"`
}

// end ends a feed.
type end struct {
	Updater string     `json:"updater"`
	Kind    clair.Kind `json:"kind"`
	Records int64      `json:"records"`
	Rows    int64      `json:"rows"`
	SHA256  string     `json:"sha256"`
}

// What lines begin with by which they are told apart without being parsed.
const (
	endPrefix        = `{"end":`
	advisoryPrefix   = `{"advisory":`
	enrichmentPrefix = `{"enrichment":`
)

// invalid is the error of a bundle that is not what it should be.
func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{clair.ErrInvalid}, args...)...)
}

var errPlaces = fmt.Errorf("%w: more than %d bytes of distributions and repositories", clair.ErrTooLarge, maxPlaces)

// share makes an advisory of a row, without rows.
func share(v *clair.Vulnerability) *advisory {
	a := &advisory{
		Name:        v.Name,
		Description: v.Description,
		Links:       v.Links,
		Severity:    v.Severity,
		Normalized:  v.NormalizedSeverity,
		Aliases:     v.Aliases,
	}
	if !v.Issued.IsZero() {
		s := v.Issued.Unix()
		a.Issued = &s
	}
	return a
}

// places are the distributions and repositories that lines refer to.
type places struct {
	dists map[string]*clair.Distribution
	repos map[string]*clair.Repository
	size  int
}

func newPlaces() places {
	return places{dists: map[string]*clair.Distribution{}, repos: map[string]*clair.Repository{}}
}

// take remembers the place of a line of some bytes, if it is one.
func (p *places) take(l *line, size int) error {
	var id *string
	twice := false
	switch {
	case l.Distribution != nil:
		id = &l.Distribution.ID
		_, twice = p.dists[*id]
		p.dists[*id] = l.Distribution
	case l.Repository != nil:
		id = &l.Repository.ID
		_, twice = p.repos[*id]
		p.repos[*id] = l.Repository
	default:
		return nil
	}
	if *id == "" || twice {
		return invalid("the id %.40q of a place is empty or there twice", *id)
	}
	*id = "" // it is the document's and not the place's
	if p.size += size; p.size > maxPlaces {
		return errPlaces
	}
	return nil
}

// vulnerability is the row of an advisory as updater's row.
func (p *places) vulnerability(updater string, a *advisory, r *row) (*clair.Vulnerability, error) {
	both := &struct {
		v clair.Vulnerability
		p clair.Package
	}{}
	both.p = clair.Package{
		Name:    r.Package,
		Version: r.Version,
		Kind:    r.Kind,
		Module:  r.Module,
		Arch:    r.Arch,
	}
	both.v = clair.Vulnerability{
		Updater:            updater,
		Name:               a.Name,
		Description:        a.Description,
		Links:              a.Links,
		Severity:           a.Severity,
		NormalizedSeverity: a.Normalized,
		Aliases:            a.Aliases,
		Package:            &both.p,
		FixedInVersion:     r.Fixed,
		ArchOperation:      r.ArchOp,
		Range:              r.Range,
	}
	v := &both.v
	if a.Issued != nil {
		v.Issued = time.Unix(*a.Issued, 0).UTC()
	}
	if r.Distribution != "" {
		if v.Dist = p.dists[r.Distribution]; v.Dist == nil {
			return nil, invalid("advisory %.80q: distribution %.40q is not there", a.Name, r.Distribution)
		}
	}
	if r.Repository != "" {
		if v.Repo = p.repos[r.Repository]; v.Repo == nil {
			return nil, invalid("advisory %.80q: repository %.40q is not there", a.Name, r.Repository)
		}
	}
	return v, nil
}

// record is an enrichment as it is stored.
func (e *enrichment) record() (clair.EnrichmentRecord, error) {
	if !json.Valid([]byte(e.Data)) {
		return clair.EnrichmentRecord{}, invalid("enrichment of %.80q: its data is not JSON", e.Tags)
	}
	return clair.EnrichmentRecord{Tags: e.Tags, Enrichment: json.RawMessage(e.Data)}, nil
}
