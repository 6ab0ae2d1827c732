package debian

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"oriel/clair"
	"oriel/internal/distro"
	"oriel/internal/feed"
	"oriel/internal/severity"
)

// debianIssue is an issue of one source package in Debian's security tracker.
type debianIssue struct {
	Description string                   `json:"description"`
	Releases    map[string]debianRelease `json:"releases"`
}

type debianRelease struct {
	Status       string  `json:"status"`
	FixedVersion *string `json:"fixed_version"`
	Urgency      string  `json:"urgency"`
}

// Format returns the format "debian": the security tracker's JSON.
func Format() feed.Format {
	f := feed.PlainFormat("debian", 2, func(r io.Reader, _ distro.Release) feed.Rows { return Parse(r) })
	f.Options = nil
	return f
}

// Parse reads the JSON of Debian's security tracker, an object of
// source packages with objects of issues, one issue at a time.
//
// A resolved issue is fixed in its version; "0" means that the release never
// had it, and makes no row. An open issue has no fix. An undetermined one has
// no fix either: it was not examined yet, which clears nothing, and Clair
// reports it, too.
func Parse(r io.Reader) feed.Rows {
	return feed.Emit(func(e feed.Emitter) error {
		p := debianParser{Emitter: e, dec: feed.NewJSON(r), releases: map[string]distro.Release{}}
		if err := p.dec.Object(p.readPackage); err != nil {
			return err
		}
		if p.packages == 0 {
			return feed.Malformed("no packages in it")
		}
		return p.dec.End()
	})
}

type debianParser struct {
	feed.Emitter
	dec      *feed.JSON
	packages int
	// releases is a cache of the tracker's code names.
	releases map[string]distro.Release
}

func (p *debianParser) readPackage(name string) error {
	p.packages++
	return p.dec.Object(func(id string) error {
		var issue debianIssue
		err := p.dec.Decode(&issue)
		if feed.WrongType(err) {
			return p.Skip(name+" "+id, err)
		}
		if err != nil {
			return fmt.Errorf("%s of %s: %w", id, name, err)
		}
		if len(issue.Releases) == 0 {
			return p.Skip(name+" "+id, errors.New("it is of no release"))
		}
		for code, r := range issue.Releases {
			if err := p.issue(debianRow{name, id, code, issue.Description}, r); err != nil {
				return err
			}
		}
		return nil
	})
}

func (p *debianParser) release(code string) (distro.Release, bool) {
	r, ok := p.releases[code]
	if !ok {
		r, ok = distro.ReleaseByPURL("debian", code)
		// This limits what a foreign document can add.
		if len(p.releases) < 100 {
			p.releases[code] = r
		}
		return r, ok
	}
	return r, r.Platform != ""
}

// debianRow returns a row.
type debianRow struct{ pkg, id, code, description string }

func (p *debianParser) issue(of debianRow, in debianRelease) error {
	record := of.pkg + " " + of.id + " " + of.code
	release, ok := p.release(of.code)
	if !ok {
		return p.Skip(record, fmt.Errorf("%w: no such release", clair.ErrInvalid))
	}
	fixed := ""
	switch in.Status {
	case "open", "undetermined":
	case "resolved":
		if in.FixedVersion == nil || *in.FixedVersion == "" {
			return p.Skip(record, errors.New("it is resolved by no version"))
		}
		fixed = *in.FixedVersion
		if fixed == "0" {
			return nil
		}
	default:
		return p.Skip(record, fmt.Errorf("%w: status %.40q", clair.ErrInvalid, in.Status))
	}
	return p.Row(&clair.Vulnerability{
		Name:               of.id,
		Description:        of.description,
		Links:              "https://security-tracker.debian.org/tracker/" + of.id,
		Severity:           in.Urgency,
		NormalizedSeverity: severity.Of(strings.TrimRight(in.Urgency, "*")),
		Package:            &clair.Package{Name: of.pkg, Kind: clair.Source},
		Dist:               release.Distribution(),
		FixedInVersion:     fixed,
	})
}
