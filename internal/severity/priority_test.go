package severity_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/internal/severity"
)

func TestJudge(t *testing.T) {
	epss := func(x float64) severity.Evidence { return severity.Evidence{EPSS: &x} }
	cvss := func(x float64) severity.Evidence { return severity.Evidence{CVSS: &x} }
	kev := severity.Evidence{KEV: true}
	for _, c := range []struct {
		name     string
		own      clair.Severity
		fixable  bool
		evidence severity.Evidence
		want     severity.Level
		severity clair.Severity
		reasons  []string
	}{
		{"nothing_known", clair.Unknown, true, severity.Evidence{}, severity.LevelUnknown, clair.Unknown, []string{}},
		{"critical", clair.Critical, true, severity.Evidence{}, severity.LevelHigh, clair.Critical, []string{"severity Critical"}},
		{"critical_without_fix", clair.Critical, false, severity.Evidence{}, severity.LevelMedium, clair.Critical, []string{"severity Critical, no fix"}},
		{"high", clair.High, true, severity.Evidence{}, severity.LevelMedium, clair.High, []string{"severity High"}},
		{"high_without_fix", clair.High, false, severity.Evidence{}, severity.LevelLow, clair.High, []string{"severity High, no fix"}},
		{"low", clair.Low, true, severity.Evidence{}, severity.LevelLow, clair.Low, []string{"severity Low"}},
		{"low_without_fix", clair.Low, false, severity.Evidence{}, severity.LevelLow, clair.Low, []string{"severity Low, no fix"}},
		{"exploited", clair.Low, false, kev, severity.LevelUrgent, clair.Low, []string{"known to be exploited", "severity Low, no fix"}},
		{"exploited_alone", clair.Unknown, true, kev, severity.LevelUrgent, clair.Unknown, []string{"known to be exploited"}},
		{"epss_urgent", clair.Low, true, epss(0.5), severity.LevelUrgent, clair.Low, []string{"EPSS 0.5", "severity Low"}},
		{"epss_high", clair.Low, true, epss(0.1), severity.LevelHigh, clair.Low, []string{"EPSS 0.1", "severity Low"}},
		{"epss_below_high", clair.Low, true, epss(0.0999), severity.LevelMedium, clair.Low, []string{"EPSS 0.0999", "severity Low"}},
		{"epss_medium", clair.Low, true, epss(0.01), severity.LevelMedium, clair.Low, []string{"EPSS 0.01", "severity Low"}},
		{"epss_low", clair.Unknown, true, epss(0.001), severity.LevelLow, clair.Unknown, []string{"EPSS 0.001"}},
		{"cvss_never_urgent", clair.Unknown, true, cvss(10), severity.LevelHigh, clair.Critical, []string{"severity Critical (CVSS 10)"}},
		{"cvss_decides_unknown", clair.Unknown, true, cvss(8.1), severity.LevelMedium, clair.High, []string{"severity High (CVSS 8.1)"}},
		{"own_word_counts_first", clair.Critical, true, cvss(4), severity.LevelHigh, clair.Critical, []string{"severity Critical"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := severity.Judge(c.own, c.fixable, c.evidence)
			require.Equal(t, c.want, p.Level)
			require.Equal(t, c.severity, p.Severity)
			require.Equal(t, c.reasons, p.Reasons)
			require.Equal(t, c.fixable, p.Fixable)
		})
	}
}

// TestPriority_Compare lists priorities from the least to the most urgent.
func TestPriority_Compare(t *testing.T) {
	number := func(x float64) *float64 { return &x }
	ordered := []severity.Priority{
		severity.Judge(clair.Unknown, false, severity.Evidence{}),
		severity.Judge(clair.Negligible, true, severity.Evidence{}),
		severity.Judge(clair.Low, true, severity.Evidence{}),
		severity.Judge(clair.Low, true, severity.Evidence{CVSS: number(3.5)}),
		severity.Judge(clair.Low, true, severity.Evidence{EPSS: number(0.002)}),
		severity.Judge(clair.Critical, false, severity.Evidence{}),
		severity.Judge(clair.Low, true, severity.Evidence{EPSS: number(0.02)}),
		severity.Judge(clair.Low, false, severity.Evidence{EPSS: number(0.7)}),
		severity.Judge(clair.Low, true, severity.Evidence{EPSS: number(0.7)}),
		severity.Judge(clair.Unknown, false, severity.Evidence{KEV: true}),
		severity.Judge(clair.High, false, severity.Evidence{KEV: true}),
	}
	shuffled := slices.Clone(ordered)
	slices.Reverse(shuffled)
	slices.SortFunc(shuffled, severity.Priority.Compare)
	require.Equal(t, ordered, shuffled)
}

func TestPriority_JSON(t *testing.T) {
	score := 0.5
	b, err := json.Marshal(severity.Judge(clair.Low, true, severity.Evidence{EPSS: &score}))
	require.NoError(t, err)
	require.JSONEq(t, `{"level":"urgent","reasons":["EPSS 0.5","severity Low"],"kev":false,"epss":0.5,"cvss":null,"severity":"Low","fixable":true}`, string(b))
}

func TestReadEvidence(t *testing.T) {
	number := func(x float64) *float64 { return &x }
	for _, c := range []struct {
		name, mediaType string
		messages        []string
		want            severity.Evidence
	}{
		{"epss", clair.TypeEPSS, []string{`{"1":[{"epss":0.25,"percentile":0.9},{"epss":0.5,"percentile":0.97}]}`}, severity.Evidence{EPSS: number(0.5), Percentile: 0.97}},
		{"cvss", clair.TypeCVSS, []string{`{"1":[{"baseScore":5,"vectorString":"a"}]}`, `{"1":[{"baseScore":9.8,"vectorString":"b"}]}`}, severity.Evidence{CVSS: number(9.8), Vector: "b"}},
		{"kev", clair.TypeKEV, []string{`{"1":[{"known_ransomware_campaign_use":"Known"},{}]}`}, severity.Evidence{KEV: true, Ransomware: true}},
		{"null", clair.TypeEPSS, []string{`{"1":[{"epss":null}]}`}, severity.Evidence{}},
		{"none", clair.TypeEPSS, nil, severity.Evidence{}},
		{"other_media_type", "text/plain", []string{`[1]`}, severity.Evidence{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var messages []json.RawMessage
			for _, m := range c.messages {
				messages = append(messages, json.RawMessage(m))
			}
			got, err := severity.ReadEvidence(c.mediaType, messages)
			require.NoError(t, err)
			require.Equal(t, c.want, got["1"])
		})
	}
	for name, mediaType := range map[string]string{"of_a_known_type": clair.TypeKEV, "of_another_type": "text/plain"} {
		t.Run("not_json_"+name, func(t *testing.T) {
			_, err := severity.ReadEvidence(mediaType, []json.RawMessage{json.RawMessage(`{`)})
			require.ErrorIs(t, err, clair.ErrInvalid)
		})
	}
}
