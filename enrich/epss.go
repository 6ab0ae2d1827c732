package enrich

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"oriel/clair"
	"oriel/internal/feed"
	"oriel/internal/fetch"
)

// epssShared is the tag of the record with the model's version and the date of
// the scores, which are the same for all of them.
const epssShared = "EPSS"

// epss has the scores of FIRST's Exploit Prediction Scoring System: how likely
// a vulnerability is to be exploited within thirty days.
func epss() Enrichment {
	return Enrichment{
		Name: "epss", Format: "epss", Enricher: annotator{name: "clair.epss", mediaType: clair.TypeEPSS, shared: epssShared},
		NewFeed: func(f feed.Feed, c *fetch.Client) clair.Updater {
			return &fileFeed{Feed: f, client: c, format: "epss", version: 1, parse: parseEPSS}
		},
	}
}

// maxLine is far longer than any line of the file.
const maxLine = 4096

// parseEPSS reads FIRST's CSV: a comment with the model's version and the
// date, a line of names, then a CVE a line.
//
// Fields are never quoted, so lines are split at commas instead of being read
// according to RFC 4180, in which one stray quote would include all lines
// after it.
func parseEPSS(r io.Reader, e feed.RecordEmitter) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	p := epssParser{RecordEmitter: e}
	for lines.Scan() {
		if err := p.line(lines.Text()); err != nil {
			return err
		}
	}
	err := lines.Err()
	switch {
	case errors.Is(err, bufio.ErrTooLong):
		return feed.Malformed("line %d is longer than %d bytes", p.number+1, maxLine)
	case err != nil:
		return err
	case p.columns == nil || p.scores == 0:
		return feed.Malformed("there is not one score in it")
	}
	return nil
}

type epssParser struct {
	feed.RecordEmitter
	number int
	shared struct {
		ModelVersion string `json:"modelVersion"`
		Date         string `json:"date"`
	}
	columns []int // of cve, epss and percentile
	scores  int
}

func (p *epssParser) line(text string) error {
	p.number++
	text = strings.TrimSpace(text)
	switch {
	case text == "":
		return nil
	case p.columns != nil:
		return p.score(text)
	case strings.HasPrefix(text, "#"):
		for part := range strings.SplitSeq(text[1:], ",") {
			switch key, value, _ := strings.Cut(part, ":"); strings.TrimSpace(key) {
			case "model_version":
				p.shared.ModelVersion = value
			case "score_date":
				p.shared.Date = value
			}
		}
		return nil
	}
	names := strings.Split(text, ",")
	columns := []int{slices.Index(names, "cve"), slices.Index(names, "epss"), slices.Index(names, "percentile")}
	if slices.Contains(columns, -1) {
		return feed.Malformed("line %d: %.80q where the names cve, epss and percentile were expected", p.number, text)
	}
	p.columns = columns
	data, err := json.Marshal(p.shared)
	if err != nil {
		return err
	}
	return p.DatedRecord(epssShared, data, feed.ParseDate(p.shared.Date))
}

func (p *epssParser) score(text string) error {
	data, cve, err := p.read(strings.Split(text, ","))
	if err != nil {
		return p.Skip("line "+strconv.Itoa(p.number), fmt.Errorf("%w: %.80q", err, text))
	}
	p.scores++
	return p.Record(cve, data)
}

func (p *epssParser) read(fields []string) (data json.RawMessage, cve string, err error) {
	if len(fields) <= slices.Max(p.columns) {
		return nil, "", feed.Malformed("%d fields", len(fields))
	}
	cve, ok := recordCVE(fields[p.columns[0]])
	if !ok {
		return nil, "", feed.Malformed("no CVE")
	}
	// The members of all records are the same, so they are written by hand.
	data = append(append(json.RawMessage(`{"cve":"`), cve...), '"')
	for i, name := range []string{"epss", "percentile"} {
		x, err := strconv.ParseFloat(fields[p.columns[i+1]], 64)
		if err != nil || !(x >= 0 && x <= 1) {
			return nil, "", feed.Malformed("%s is not a number between 0 and 1", name)
		}
		data = append(append(append(data, `,"`...), name...), `":`...)
		data = strconv.AppendFloat(data, x, 'f', -1, 64)
	}
	return append(data, '}'), cve, nil
}
