package render_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net/url"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"unicode"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/internal/golden"
	"oriel/internal/render"
)

func write(t *testing.T, name string, r *render.Report) []byte {
	t.Helper()
	f, err := render.FormatByName(name)
	require.NoError(t, err)
	var b bytes.Buffer
	require.NoError(t, f.Write(&b, r))
	return b.Bytes()
}

func TestFormats_Golden(t *testing.T) {
	r := render.New(sample(), render.Filter{})
	empty := render.New(render.Input{Name: "scratch", Report: &clair.VulnerabilityReport{Hash: digest}}, render.Filter{})
	for _, f := range render.Formats() {
		t.Run(f.Name, func(t *testing.T) {
			golden.Equal(t, write(t, f.Name, r), "sample."+f.Name)
			golden.Equal(t, write(t, f.Name, empty), "empty."+f.Name)
		})
	}
}

// TestFormats_Agree reads each format back and compares the counts of its
// findings by severity with those of the model.
func TestFormats_Agree(t *testing.T) {
	read := map[string]func(*testing.T, []byte) [6]int{
		"table": countTable, "json": countJSON, "sarif": countSARIF, "cyclonedx": countCycloneDX, "csv": countCSV, "html": countHTML,
	}
	for _, in := range []render.Input{sample(), large(100), {Report: &clair.VulnerabilityReport{}}} {
		for _, filter := range []render.Filter{{}, {MinSeverity: clair.High}, {OnlyFixed: true}} {
			r := render.New(in, filter)
			for _, f := range render.Formats() {
				t.Run(fmt.Sprintf("%s_%d_findings_%s_fixed_%t", f.Name, len(r.Findings)+r.Hidden, filter.MinSeverity, filter.OnlyFixed), func(t *testing.T) {
					require.Equal(t, r.Counts, read[f.Name](t, write(t, f.Name, r)))
				})
			}
		}
	}
}

func add(t *testing.T, counts *[6]int, severity string) {
	t.Helper()
	var s clair.Severity
	require.NoError(t, s.UnmarshalText([]byte(severity)))
	counts[s]++
}

func countTable(t *testing.T, b []byte) (counts [6]int) {
	for _, m := range regexp.MustCompile(`(?m)^(Critical|High|Medium|Low|Negligible|Unknown) `).FindAllSubmatch(b, -1) {
		add(t, &counts, string(m[1]))
	}
	summary := regexp.MustCompile(`(?m)^\d+ findings?(: .*?)?; .*$`).FindString(string(b))
	require.NotEmpty(t, summary)
	for _, m := range regexp.MustCompile(`(\d+) (critical|high|medium|low|negligible|unknown)`).FindAllStringSubmatch(summary, -1) {
		var s clair.Severity
		require.NoError(t, s.UnmarshalText([]byte(m[2])))
		var n int
		require.NoError(t, json.Unmarshal([]byte(m[1]), &n))
		require.Equal(t, counts[s], n)
	}
	return counts
}

func countJSON(t *testing.T, b []byte) (counts [6]int) {
	var r struct {
		Counts struct {
			Findings   int
			BySeverity map[string]int `json:"by_severity"`
		}
	}
	require.NoError(t, json.Unmarshal(b, &r))
	for severity, n := range r.Counts.BySeverity {
		var s clair.Severity
		require.NoError(t, s.UnmarshalText([]byte(severity)))
		counts[s] = n
		r.Counts.Findings -= n
	}
	require.Zero(t, r.Counts.Findings)
	return counts
}

func countSARIF(t *testing.T, b []byte) (counts [6]int) {
	for _, r := range checkSARIF(t, b) {
		add(t, &counts, r.Properties.Severity)
	}
	return counts
}

func countCycloneDX(t *testing.T, b []byte) (counts [6]int) {
	var bom cdx.BOM
	require.NoError(t, cdx.NewBOMDecoder(bytes.NewReader(b), cdx.BOMFileFormatJSON).Decode(&bom))
	require.Equal(t, cdx.SpecVersion1_6, bom.SpecVersion)
	require.Regexp(t, `^urn:uuid:[0-9a-f-]{36}$`, bom.SerialNumber)
	refs := map[string]bool{}
	for _, c := range *bom.Components {
		require.False(t, refs[c.BOMRef])
		refs[c.BOMRef] = true
	}
	for _, v := range *bom.Vulnerabilities {
		severity := map[cdx.Severity]string{"info": "negligible"}[(*v.Ratings)[0].Severity]
		if severity == "" {
			severity = string((*v.Ratings)[0].Severity)
		}
		for _, a := range *v.Affects {
			require.True(t, refs[a.Ref], a.Ref)
			add(t, &counts, severity)
		}
	}
	return counts
}

func countCSV(t *testing.T, b []byte) (counts [6]int) {
	records, err := csv.NewReader(bytes.NewReader(b)).ReadAll()
	require.NoError(t, err)
	require.Equal(t, []string{"severity", "status"}, []string{records[0][11], records[0][25]})
	for _, record := range records[1:] {
		if record[25] == "affected" {
			add(t, &counts, record[11])
		}
	}
	return counts
}

func countHTML(t *testing.T, b []byte) (counts [6]int) {
	for _, m := range regexp.MustCompile(`data-severity="(\w+)"`).FindAllSubmatch(b, -1) {
		add(t, &counts, string(m[1]))
	}
	for _, m := range regexp.MustCompile(`<b>(\d+)</b>(Critical|High|Medium|Low|Negligible|Unknown)<`).FindAllSubmatch(b, -1) {
		var s clair.Severity
		require.NoError(t, s.UnmarshalText(m[2]))
		var n int
		require.NoError(t, json.Unmarshal(m[1], &n))
		require.Equal(t, counts[s], n)
	}
	return counts
}

type sarifResult struct {
	RuleID    string
	RuleIndex *int
	Level     string
	Message   struct{ Text string }
	Locations []struct {
		PhysicalLocation struct {
			ArtifactLocation struct{ URI string }
			Region           struct{ StartLine int }
		}
	}
	PartialFingerprints map[string]string
	Properties          struct{ Severity string }
}

// checkSARIF checks a log against the rules of the standard and of GitHub.
func checkSARIF(t *testing.T, b []byte) []sarifResult {
	t.Helper()
	var log struct {
		Schema, Version string
		Runs            []struct {
			Tool struct {
				Driver struct {
					Name  string
					Rules []struct {
						ID                                      string
						ShortDescription, FullDescription, Help struct{ Text string }
						DefaultConfiguration                    struct{ Level string }
						Properties                              map[string]any
					}
				}
			}
			Invocations []struct{ ExecutionSuccessful *bool }
			Results     []sarifResult
		}
	}
	require.NoError(t, json.Unmarshal(b, &log))
	require.Equal(t, "2.1.0", log.Version)
	require.Len(t, log.Runs, 1)
	run := log.Runs[0]
	require.NotEmpty(t, run.Tool.Driver.Name)
	require.NotNil(t, run.Results, "an empty list means that nothing was found")
	require.NotNil(t, run.Invocations[0].ExecutionSuccessful)
	seen := map[string]bool{}
	for _, rule := range run.Tool.Driver.Rules {
		require.False(t, seen[rule.ID], "rules have ids of their own")
		seen[rule.ID] = true
		for _, text := range []string{rule.ID, rule.ShortDescription.Text, rule.FullDescription.Text, rule.Help.Text} {
			require.NotEmpty(t, text)
		}
		require.Contains(t, []string{"error", "warning", "note"}, rule.DefaultConfiguration.Level)
		if number, ok := rule.Properties["security-severity"]; ok {
			require.Regexp(t, `^(10|\d)\.\d$`, number)
		}
	}
	marks := map[string]bool{}
	for _, r := range run.Results {
		require.Equal(t, r.RuleID, run.Tool.Driver.Rules[*r.RuleIndex].ID)
		require.Contains(t, []string{"error", "warning", "note"}, r.Level)
		require.NotEmpty(t, r.Message.Text)
		at := r.Locations[0].PhysicalLocation
		u, err := url.Parse(at.ArtifactLocation.URI)
		require.NoError(t, err)
		require.True(t, at.ArtifactLocation.URI != "" && !u.IsAbs() && u.Host == "" && at.Region.StartLine > 0)
		mark := r.PartialFingerprints["primaryLocationLineHash"]
		require.True(t, mark != "" && !marks[mark], "every finding has a mark of its own")
		marks[mark] = true
	}
	return run.Results
}

// TestFormats_Escaping checks that no text of packages and feeds is interpreted
// by the programs that read a format.
func TestFormats_Escaping(t *testing.T) {
	in := sample()
	in.Name += esc + script
	r := render.New(in, render.Filter{})
	for _, f := range render.Formats() {
		out := string(write(t, f.Name, r))
		for _, c := range out {
			require.True(t, c == '\n' || c == '\r' && f.Name == "csv" || c == '\t' || !unicode.IsControl(c), "%s: %q", f.Name, c)
		}
		if f.Name != "json" {
			require.NotContains(t, out, "\u202e", f.Name)
		}
	}
	page := string(write(t, "html", r))
	require.NotContains(t, page, "<script")
	require.NotContains(t, page, "javascript:")
	require.Contains(t, page, html.EscapeString("<script>"))
	require.NotRegexp(t, `(src|srcset|action)=|@import|url\(`, page, "nothing is loaded")
	require.NotContains(t, page, "ZgotmplZ")

	records, err := csv.NewReader(bytes.NewReader(write(t, "csv", r))).ReadAll()
	require.NoError(t, err)
	var guarded []string
	for _, record := range records[1:] {
		for _, cell := range record {
			require.NotRegexp(t, `^[=+\-@\t\r\n]`, cell)
			if strings.HasPrefix(cell, "'") {
				guarded = append(guarded, cell)
			}
		}
	}
	require.Contains(t, guarded, `'=HYPERLINK("http://example.com")`)
	require.Contains(t, guarded, "'@babel/traverse")
	require.Contains(t, guarded, "'=1+1")

	var got clair.VulnerabilityReport
	data := write(t, "json", r)
	data = data[:bytes.Index(data, []byte(`"enrichments"`))]
	require.NoError(t, json.Unmarshal(append(bytes.TrimRight(data, ",\n"), '}'), &got))
	require.Equal(t, in.Report.Packages, got.Packages, "Clair's JSON has the data unchanged")
}

// TestJSON_Clair removes the members that Oriel adds: the rest is Clair's
// encoding.
func TestJSON_Clair(t *testing.T) {
	in := sample()
	want, err := json.Marshal(in.Report)
	require.NoError(t, err)
	var got map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(write(t, "json", render.New(in, render.Filter{})), &got))
	for _, added := range []string{"counts", "not_covered", "places", "unmatched", "incomparable", "warnings", "gate"} {
		require.Contains(t, got, added)
		delete(got, added)
	}
	rest, err := json.Marshal(got)
	require.NoError(t, err)
	require.JSONEq(t, string(want), string(rest))
}

func TestTable_Options(t *testing.T) {
	r := render.New(sample(), render.Filter{})
	for _, width := range []int{80, 100} {
		var b strings.Builder
		require.NoError(t, render.Table(render.TableOptions{Width: width})(&b, r))
		rows, _, _ := strings.Cut(b.String(), "\n\n")
		for line := range strings.Lines(rows) {
			require.LessOrEqual(t, len([]rune(strings.TrimRight(line, "\n"))), width, line)
		}
		require.Contains(t, rows, "…")
	}
	var b strings.Builder
	require.NoError(t, render.Table(render.TableOptions{Color: true})(&b, r))
	plain := regexp.MustCompile("\x1b\\[[0-9]{1,2}m").ReplaceAllString(b.String(), "")
	require.NotEqual(t, plain, b.String())
	require.Equal(t, string(write(t, "table", r)), plain, "colour moves nothing")
}

// failing is a full disk or a closed pipe.
type failing struct{ after int }

var errFull = errors.New("full")

func (f *failing) Write(p []byte) (int, error) {
	if f.after -= len(p); f.after < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestFormats_WriteError(t *testing.T) {
	r := render.New(large(300), render.Filter{})
	for _, f := range render.Formats() {
		for _, after := range []int{0, 10, 5000} {
			require.ErrorIs(t, f.Write(&failing{after}, r), errFull, f.Name)
		}
	}
}

// TestFormats_Memory checks that the memory for writing does not grow with the
// report: 10,000 findings with 5 MB of text.
func TestFormats_Memory(t *testing.T) {
	r := render.New(large(10000), render.Filter{})
	var before, after runtime.MemStats
	for _, f := range render.Formats() {
		peak := &peakWriter{}
		runtime.GC()
		runtime.ReadMemStats(&before)
		require.NoError(t, f.Write(peak, r))
		runtime.ReadMemStats(&after)
		t.Logf("%s: %d bytes written, heap at most %d KiB over the model", f.Name, peak.n, (int64(peak.heap)-int64(before.HeapAlloc))>>10)
		require.Greater(t, peak.n, 500_000, f.Name)
		require.Less(t, int64(peak.heap)-int64(before.HeapAlloc), int64(8<<20), f.Name)
	}
}

// peakWriter records the live heap at intervals.
type peakWriter struct {
	n, calls int
	heap     uint64
}

func (p *peakWriter) Write(b []byte) (int, error) {
	if p.calls%500 == 0 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		p.heap = max(p.heap, m.HeapAlloc)
	}
	p.calls++
	p.n += len(b)
	return len(b), nil
}

var _ io.Writer = (*peakWriter)(nil)
