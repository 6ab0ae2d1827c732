package feed

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"oriel/clair"
	"oriel/internal/fetch"
	"oriel/internal/quantity"
)

// Feed is a [[feed]] table of the configuration.
type Feed struct {
	// Name is the updater's unique name.
	Name string
	// Format is the name of the feed's Format.
	Format string
	// URL is the feed's address. A relative file is made absolute.
	URL string
	// Enabled reports whether the feed is in use. Default true.
	Enabled bool
	// Auto reports whether a feed in use is fetched only once something needs
	// one of its places.
	Auto bool
	// Options are the format's own keys, each as its Option has read it. Keys
	// that are missing in the table are missing here.
	Options map[string]any
}

// Strings returns an option made by StringsOption, nil if it is not set.
func (f Feed) Strings(key string) []string { s, _ := f.Options[key].([]string); return s }

// Text returns an option made by TextOption, "" if it is not set.
func (f Feed) Text(key string) string { s, _ := f.Options[key].(string); return s }

// Bytes returns an option made by BytesOption, 0 if it is not set.
func (f Feed) Bytes(key string) int64 { n, _ := f.Options[key].(int64); return n }

// Duration returns an option made by DurationOption; set is false if it is
// missing in the table.
func (f Feed) Duration(key string) (d time.Duration, set bool) {
	d, set = f.Options[key].(time.Duration)
	return d, set
}

// Fraction returns an option made by FractionOption; set is false if the table
// does not have it.
func (f Feed) Fraction(key string) (n float64, set bool) {
	n, set = f.Options[key].(float64)
	return n, set
}

// Format is a kind of feed that a configuration can name.
type Format struct {
	// Name is the value of the key "format".
	Name string
	// Kind is the kind of its feeds' operations.
	Kind clair.Kind
	// Options are the further keys of its tables, in addition to those that
	// every format has.
	Options []Option
	// New returns the updater of a feed. It does no I/O.
	New func(Feed, *fetch.Client) (clair.Updater, error)
}

// Option is a key of a format.
type Option struct {
	Key string
	// read converts the parsed TOML value to the stored one. Its error
	// completes a sentence about the key.
	read func(any) (value any, wrong string)
	// file means that the value is a path, relative to the configuration.
	file bool
}

// TextOption returns a string option, limited to the given values if there are
// any.
func TextOption(key string, oneOf ...string) Option {
	return Option{Key: key, read: func(v any) (any, string) {
		s, ok := v.(string)
		if !ok {
			return nil, "must be a string"
		}
		if len(oneOf) > 0 && !slices.Contains(oneOf, s) {
			return nil, fmt.Sprintf("%.40q is not one of %s", s, strings.Join(oneOf, ", "))
		}
		return s, ""
	}}
}

// FileOption returns an option for the path of a file. A relative one is made
// absolute.
func FileOption(key string) Option {
	o := TextOption(key)
	o.file = true
	return o
}

// StringsOption returns an option for a list of strings, none of which may be
// empty.
func StringsOption(key string) Option {
	return Option{Key: key, read: func(v any) (any, string) {
		list, ok := v.([]any)
		out := make([]string, 0, len(list))
		for _, e := range list {
			s, isText := e.(string)
			ok = ok && isText && s != ""
			out = append(out, s)
		}
		if !ok {
			return nil, "must be a list of strings that are not empty"
		}
		return out, ""
	}}
}

// BytesOption returns an option for a size: a number of bytes or a string such
// as "2GiB".
func BytesOption(key string) Option {
	return Option{Key: key, read: func(v any) (any, string) {
		n, isNumber := v.(int64)
		if s, ok := v.(string); ok {
			var b quantity.Bytes
			isNumber = b.UnmarshalText([]byte(s)) == nil
			n = int64(b)
		}
		if !isNumber || n <= 0 {
			return nil, `must be a size above 0, such as "512MiB"`
		}
		return n, ""
	}}
}

// DurationOption returns an option for a duration, such as "36h", that is not
// negative.
func DurationOption(key string) Option {
	return Option{Key: key, read: func(v any) (any, string) {
		s, ok := v.(string)
		var d quantity.Duration
		if !ok || d.UnmarshalText([]byte(s)) != nil || d < 0 {
			return nil, `must be a length of time, such as "36h"`
		}
		return time.Duration(d), ""
	}}
}

// FractionOption returns an option for a number from 0 to 1.
func FractionOption(key string) Option {
	return Option{Key: key, read: func(v any) (any, string) {
		f, ok := v.(float64)
		if n, whole := v.(int64); whole {
			f, ok = float64(n), true
		}
		if !ok || f < 0 || f > 1 {
			return nil, "must be a number from 0 to 1"
		}
		return f, ""
	}}
}

// StaleAfterOption is the key for the age from which a feed's data are stale;
// every format has it.
const StaleAfterOption = "stale_after"

// The keys of automatic feeds, which every format has: the places that a feed
// has advisories for, such as "alpine:3.23", "debian:*" and "npm", and the
// architecture that it is restricted to.
const (
	PlacesOption = "places"
	ArchOption   = "arch"
)

// ReleaseVariable stands for a release in the name, URL and places of a feed that
// exists for every release.
const ReleaseVariable = "{release}"

// MaxShrinkOption is the key for the part of its records that a feed may lose at
// once; every format has it.
const MaxShrinkOption = "max_shrink"

// MaxSizeOption is the key that limits a download; every format has it.
const MaxSizeOption = "max_size"

// Registry is a list of formats.
type Registry []Format

// Lookup finds a format by name.
func (r Registry) Lookup(name string) (Format, bool) {
	i := slices.IndexFunc(r, func(f Format) bool { return f.Name == name })
	if i < 0 {
		return Format{}, false
	}
	return r[i], true
}

// ParseFeeds reads the [[feed]] tables of a configuration, as a TOML parser
// returns them. Relative files are relative to base. Each error is an
// ErrInvalid that names its key, such as feed[2].max_size; all of them are
// returned.
func (r Registry) ParseFeeds(tables []map[string]any, base string) ([]Feed, error) {
	var feeds []Feed
	var errs []error
	names := map[string]int{}
	for i, t := range tables {
		at := fmt.Sprintf("feed[%d]", i)
		f, err := r.ParseFeed(t, at, base)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if first, twice := names[f.Name]; twice {
			errs = append(errs, clair.Invalid(at+".name", "%q is the name of feed[%d] already", f.Name, first))
		}
		names[f.Name] = i
		feeds = append(feeds, f)
	}
	return feeds, errors.Join(errs...)
}

// ParseFeed reads one table; at is its path in errors.
func (r Registry) ParseFeed(table map[string]any, at, base string) (Feed, error) {
	p := feedParser{table: table, at: at, base: base}
	f := Feed{Enabled: true, Options: map[string]any{}}
	f.Name = p.text("name")
	f.Format = p.text("format")
	f.URL = p.text("url")
	p.enabled(&f)
	if f.Name != "" && !ValidName(f.Name) {
		p.wrong("name", "must be at most 200 bytes without commas and control characters")
	}
	if f.URL != "" {
		f.URL = p.address(f.URL)
	}
	format, known := r.Lookup(f.Format)
	if !known && f.Format != "" {
		p.wrong("format", fmt.Sprintf("%.40q is not one of %s", f.Format, strings.Join(r.names(), ", ")))
	}
	if known {
		p.options(slices.Concat(format.Options, []Option{
			BytesOption(MaxSizeOption), DurationOption(StaleAfterOption), StringsOption(PlacesOption), TextOption(ArchOption), FractionOption(MaxShrinkOption),
		}), f.Options)
	}
	return f, errors.Join(p.errs...)
}

func (r Registry) names() []string {
	var out []string
	for _, f := range r {
		out = append(out, f.Name)
	}
	slices.Sort(out)
	return out
}

// New makes the updater of a feed.
func (r Registry) New(f Feed, c *fetch.Client) (clair.Updater, error) {
	format, ok := r.Lookup(f.Format)
	if !ok {
		return nil, fmt.Errorf("feed %s: %w", f.Name, clair.Invalid("format", "%.40q is not known", f.Format))
	}
	u, err := format.New(f, c)
	if err != nil {
		return nil, fmt.Errorf("feed %s: %w", f.Name, err)
	}
	return u, nil
}

// feedParser collects the errors in a table.
type feedParser struct {
	table map[string]any
	at    string
	base  string // of relative files
	errs  []error
}

func (p *feedParser) wrong(key, reason string) {
	p.errs = append(p.errs, clair.Invalid(p.at+"."+key, "%s", reason))
}

// text reads a key that must exist and not be empty.
func (p *feedParser) text(key string) string {
	s, ok := p.table[key].(string)
	if !ok || s == "" {
		p.wrong(key, "must be a string that is not empty")
	}
	return s
}

// enabled reads whether a feed is in use. One for several releases is fetched
// for one of them at a time, so that it cannot be fetched at once.
func (p *feedParser) enabled(f *Feed) {
	template := strings.Contains(f.Name, ReleaseVariable)
	switch v := p.table["enabled"].(type) {
	case nil:
		f.Auto = template
	case bool:
		f.Enabled = v
	case string:
		f.Enabled, f.Auto = true, true
		if v != "auto" {
			p.wrong("enabled", `must be true, false or "auto"`)
		}
	default:
		p.wrong("enabled", `must be true, false or "auto"`)
	}
	switch {
	case template != strings.Contains(f.URL, ReleaseVariable):
		p.wrong("url", "must have "+ReleaseVariable+" if the name has it, and only then")
	case template && f.Enabled && !f.Auto:
		p.wrong("enabled", `must be "auto" or false for a feed of every release`)
	}
}

// address makes local files absolute and checks the rest.
func (p *feedParser) address(url string) string {
	path, local, err := fetch.Local(url)
	if e, ok := errors.AsType[*clair.InvalidError](err); ok {
		p.wrong("url", e.Reason)
		return url
	}
	if !local || filepath.IsAbs(path) {
		return url
	}
	return filepath.Join(p.base, path)
}

// options reads the format's keys. Any other keys are errors.
func (p *feedParser) options(options []Option, into map[string]any) {
	for _, key := range slices.Sorted(maps.Keys(p.table)) {
		switch key {
		case "name", "format", "url", "enabled":
			continue
		}
		i := slices.IndexFunc(options, func(o Option) bool { return o.Key == key })
		if i < 0 {
			p.wrong(key, "unknown key")
			continue
		}
		value, wrong := options[i].read(p.table[key])
		if wrong != "" {
			p.wrong(key, wrong)
			continue
		}
		if path, ok := value.(string); ok && options[i].file && !filepath.IsAbs(path) {
			value = filepath.Join(p.base, path)
		}
		into[key] = value
	}
}

// ValidName reports whether a name is valid for an updater.
func ValidName(name string) bool {
	return name != "" && len(name) <= 200 && !strings.ContainsFunc(name, func(c rune) bool { return c < ' ' || c == ',' })
}
