package render_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/internal/render"
)

// gaps are the places and packages that findings say nothing about.
type gaps struct {
	places                  map[string]int // packages by place
	unmatched, incomparable int
}

// TestFormats_AgreeOnGaps reads each format back and compares what it says is
// not covered, matched or compared with the model.
func TestFormats_AgreeOnGaps(t *testing.T) {
	read := map[string]func(*testing.T, []byte) gaps{
		"table": gapsOfTable, "json": gapsOfJSON, "sarif": gapsOfSARIF, "cyclonedx": gapsOfCycloneDX, "csv": gapsOfCSV, "html": gapsOfHTML,
	}
	whole := sample()
	whole.Coverage, whole.Unmatched, whole.Incomparable = nil, nil, nil
	many := sample()
	for i := range 30 {
		many.Coverage.Places = append(many.Coverage.Places, clair.Place{Name: fmt.Sprintf("alpine:4.%d", i), Packages: i + 1, Reason: clair.NoFeed})
		many.Unmatched = append(many.Unmatched, clair.Unmatched{Package: "p" + fmt.Sprint(i), Reason: "no version"})
	}
	for name, in := range map[string]render.Input{"sample": sample(), "whole": whole, "many": many} {
		r := render.New(in, render.Filter{})
		want := gaps{map[string]int{}, len(r.Unmatched), len(r.Incomparable)}
		for _, p := range r.NotCovered {
			want.places[p.Name] = p.Packages
		}
		for _, f := range render.Formats() {
			t.Run(f.Name+"_"+name, func(t *testing.T) { require.Equal(t, want, read[f.Name](t, write(t, f.Name, r))) })
		}
	}
}

var notCoveredLine = regexp.MustCompile(`Not covered: (\S+) \((\d+) packages?\): [a-z-]+\.`)

// addLines adds the places of all lines of a text.
func (g *gaps) addLines(t *testing.T, text string) {
	t.Helper()
	if g.places == nil {
		g.places = map[string]int{}
	}
	for _, m := range notCoveredLine.FindAllStringSubmatch(text, -1) {
		n, err := strconv.Atoi(m[2])
		require.NoError(t, err)
		g.places[m[1]] = n
	}
}

func gapsOfTable(t *testing.T, b []byte) (g gaps) {
	g.addLines(t, string(b))
	g.unmatched = len(regexp.MustCompile(`(?m)^Not matched: `).FindAll(b, -1))
	if _, after, ok := strings.Cut(string(b), " of versions could not be compared:\n"); ok {
		g.incomparable = len(regexp.MustCompile(`(?m)^  \S`).FindAllString(after, -1))
	}
	return g
}

func gapsOfJSON(t *testing.T, b []byte) gaps {
	var r struct {
		NotCovered []struct {
			Place, Reason string
			Packages      int
		} `json:"not_covered"`
		Unmatched, Incomparable []json.RawMessage
	}
	require.NoError(t, json.Unmarshal(b, &r))
	g := gaps{map[string]int{}, len(r.Unmatched), len(r.Incomparable)}
	for _, p := range r.NotCovered {
		require.NotEmpty(t, p.Reason)
		g.places[p.Place] = p.Packages
	}
	return g
}

func gapsOfSARIF(t *testing.T, b []byte) (g gaps) {
	var log struct {
		Runs []struct {
			Invocations []struct {
				Notes []struct {
					Descriptor struct{ ID string }
					Message    struct{ Text string }
				} `json:"toolExecutionNotifications"`
			}
		}
	}
	require.NoError(t, json.Unmarshal(b, &log))
	g.addLines(t, "")
	for _, n := range log.Runs[0].Invocations[0].Notes {
		switch n.Descriptor.ID {
		case "not-covered":
			g.addLines(t, n.Message.Text)
		case "not-matched":
			g.unmatched++
		case "not-compared":
			g.incomparable++
		}
	}
	return g
}

func gapsOfCycloneDX(t *testing.T, b []byte) (g gaps) {
	var bom cdx.BOM
	require.NoError(t, cdx.NewBOMDecoder(bytes.NewReader(b), cdx.BOMFileFormatJSON).Decode(&bom))
	g.addLines(t, "")
	for _, p := range *bom.Metadata.Properties {
		switch p.Name {
		case "oriel:not-covered":
			g.addLines(t, "Not covered: "+p.Value)
		case "oriel:unmatched":
			g.unmatched++
		case "oriel:not-compared":
			g.incomparable++
		}
	}
	return g
}

func gapsOfCSV(t *testing.T, b []byte) gaps {
	records, err := csv.NewReader(bytes.NewReader(b)).ReadAll()
	require.NoError(t, err)
	g := gaps{places: map[string]int{}}
	for _, record := range records[1:] {
		switch record[25] {
		case "not-covered":
			g.places[record[26]], err = strconv.Atoi(record[27])
			require.NoError(t, err)
			require.NotEmpty(t, record[28])
		case "not-matched":
			g.unmatched++
		case "not-compared":
			g.incomparable++
		}
	}
	return g
}

func gapsOfHTML(t *testing.T, b []byte) (g gaps) {
	page := string(b)
	g.addLines(t, page)
	verdict := regexp.MustCompile(`<p class="verdict[^>]*>([^<]*)</p>`).FindStringSubmatch(page)
	require.Len(t, verdict, 2)
	total := 0
	for _, n := range g.places {
		total += n
	}
	require.Equal(t, total > 0, strings.Contains(verdict[1], fmt.Sprintf("%d packages not covered", total)), verdict[1])
	count := func(heading string) int {
		_, section, ok := strings.Cut(page, "<h2>"+heading)
		if !ok {
			return 0
		}
		section, _, _ = strings.Cut(section, "</section>")
		return strings.Count(section, "<tr><td>")
	}
	g.unmatched, g.incomparable = count("Not matched"), count("Versions not compared")
	return g
}

// TestFormats_Gate checks that the gates count the findings of all formats, and
// that JSON has what they say.
func TestFormats_Gate(t *testing.T) {
	in := sample()
	in.Gates = gates("unknown,kev,incomplete")
	for name, filter := range map[string]render.Filter{"all": {}, "only_fixed": {OnlyFixed: true}, "critical": {MinSeverity: clair.Critical}} {
		t.Run(name, func(t *testing.T) {
			r := render.New(in, filter)
			var got struct {
				Counts struct {
					Findings       int
					KnownExploited int `json:"known_exploited"`
				}
				Gate struct{ Failed []render.GateFailure }
			}
			require.NoError(t, json.Unmarshal(write(t, "json", r), &got))
			require.Equal(t, r.Failed, got.Gate.Failed)
			require.Equal(t, 1, got.Counts.KnownExploited)
			require.Contains(t, r.Failed[0].Reason, fmt.Sprintf(" and %d more", got.Counts.Findings-1))
			require.Contains(t, r.Failed[1].Reason, "known to be exploited: ")
			require.Equal(t, render.GateIncomplete, r.Failed[2].Kind)
		})
	}
}
