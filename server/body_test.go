package server_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/stretchr/testify/require"
)

// inUTF16 encodes a text in UTF-16.
func inUTF16(order binary.AppendByteOrder, text string) string {
	var out []byte
	for _, u := range utf16.Encode([]rune(text)) {
		out = order.AppendUint16(out, u)
	}
	return string(out)
}

func inGzip(text string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = io.WriteString(z, text)
	_ = z.Close()
	return b.String()
}

// send sends a body as it is. The exchange is not checked against the API's
// description, whose schemas are about decoded bodies.
func (w world) send(method, path, body string, headers ...string) answer {
	w.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, w.url+path, strings.NewReader(body))
	require.NoError(w, err)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res := w.roundTrip(req)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	require.NoError(w, err)
	return answer{res, string(b)}
}

// Documents are read in every encoding, compressed or not, in all formats.
func TestBody_Encodings(t *testing.T) {
	const name = "café"
	documents := []struct{ name, media, text string }{
		{"index_report", "application/json", indexReport(func(r map[string]any) {
			r["packages"].(map[string]any)["1"] = map[string]any{"name": name, "version": "1.0"}
		})},
		{"cyclonedx_json", "application/vnd.cyclonedx+json", `{"bomFormat":"CycloneDX","specVersion":"1.5","version":1,"components":[
			{"type":"library","name":"x","purl":"pkg:npm/caf%C3%A9@1.0"}]}`},
		{"cyclonedx_xml", "application/vnd.cyclonedx+xml", `<?xml version="1.0" encoding="UTF-8"?>
<bom xmlns="http://cyclonedx.org/schema/bom/1.5" version="1"><components><component type="library"><name>` + name + `</name>
<version>1.0</version><purl>pkg:npm/caf%C3%A9@1.0</purl></component></components></bom>`},
		{"spdx_json", "application/spdx+json", `{"spdxVersion":"SPDX-2.3","SPDXID":"SPDXRef-DOCUMENT","name":"x","packages":[
			{"SPDXID":"SPDXRef-1","name":"` + name + `","versionInfo":"1.0","externalRefs":[
				{"referenceCategory":"PACKAGE-MANAGER","referenceType":"purl","referenceLocator":"pkg:npm/caf%C3%A9@1.0"}]}]}`},
		{"spdx_3", "application/spdx+json", `{"@context":"https://spdx.org/rdf/3.0.1/spdx-context.jsonld","@graph":[
			{"type":"software_Package","spdxId":"https://x.test/1","name":"` + name + `","software_packageVersion":"1.0","software_packageUrl":"pkg:npm/caf%C3%A9@1.0"}]}`},
		{"spdx_tag_value", "text/spdx", "SPDXVersion: SPDX-2.3\nSPDXID: SPDXRef-DOCUMENT\nDocumentName: x\n\nPackageName: " + name +
			"\nSPDXID: SPDXRef-1\nPackageVersion: 1.0\nExternalRef: PACKAGE-MANAGER purl pkg:npm/caf%C3%A9@1.0\n"},
		{"syft", "application/vnd.syft+json", `{"artifacts":[{"id":"1","name":"` + name + `","version":"1.0","type":"npm","purl":"pkg:npm/caf%C3%A9@1.0"}],
			"descriptor":{"name":"syft","version":"1.0.0"},"schema":{"version":"16.0.0","url":"https://raw.githubusercontent.com/anchore/syft/main/schema/json/schema-16.0.0.json"}}`},
		{"github", "application/vnd.github.dependency-snapshot+json", `{"version":0,"sha":"0","ref":"refs/heads/main","job":{"id":"1","correlator":"x"},
			"detector":{"name":"x","version":"1","url":"https://x.test"},"scanned":"2026-01-01T00:00:00Z",
			"manifests":{"package-lock.json":{"name":"package-lock.json","resolved":{"` + name + `":{"package_url":"pkg:npm/caf%C3%A9@1.0"}}}}}`},
	}
	documents = append(documents, struct{ name, media, text string }{
		"github_export", "application/vnd.github.dependency-snapshot+json", `{"sbom":` + documents[3].text + `}`,
	})
	encodings := []struct {
		name, coding string
		encode       func(string) string
	}{
		{"plain", "", func(s string) string { return s }},
		{"byte_order_mark", "", func(s string) string { return "\ufeff" + s }},
		{"crlf", "", func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }},
		{"utf16le", "", func(s string) string { return inUTF16(binary.LittleEndian, s) }},
		{"utf16be", "", func(s string) string { return inUTF16(binary.BigEndian, s) }},
		{"utf16le_mark", "", func(s string) string { return inUTF16(binary.LittleEndian, "\ufeff"+s) }},
		{"utf16be_mark_crlf", "", func(s string) string {
			return inUTF16(binary.BigEndian, "\ufeff"+strings.ReplaceAll(s, "\n", "\r\n"))
		}},
		{"gzip", "gzip", inGzip},
		{"x_gzip", "X-GZIP", inGzip},
		{"gzip_members", "gzip", func(s string) string { return inGzip(s[:len(s)/2]) + inGzip(s[len(s)/2:]) }},
		{"gzip_utf16le_mark", "gzip", func(s string) string { return inGzip(inUTF16(binary.LittleEndian, "\ufeff"+s)) }},
		{"identity", "identity", func(s string) string { return s }},
	}
	w := newWorld(t)
	for _, d := range documents {
		for _, e := range encodings {
			t.Run(d.name+"/"+e.name, func(t *testing.T) {
				w := w
				w.T = t
				headers := []string{"Content-Type", d.media}
				if e.coding != "" {
					headers = append(headers, "Content-Encoding", e.coding)
				}
				a := w.send("PUT", iRep+hashA, e.encode(d.text), headers...)
				require.Contains(t, []int{200, 201}, a.StatusCode, a.body)
				var r struct {
					Packages map[string]struct{ Name, Version string }
				}
				require.NoError(t, json.Unmarshal([]byte(a.body), &r))
				var found []string
				for _, p := range r.Packages {
					found = append(found, p.Name+" "+p.Version)
				}
				require.Contains(t, found, name+" 1.0")
			})
		}
	}
}

func TestBody_Refuses(t *testing.T) {
	w := newWorld(t)
	report := indexReport(nil)
	long := `{"packages":{},"x":"` + strings.Repeat("x", 17<<20) + `"}`
	r := rand.New(rand.NewPCG(1, 1))
	random := make([]byte, 17<<20) // compresses by about a third
	for i := range random {
		random[i] = 'A' + byte(r.IntN(50))
	}
	for _, c := range []struct {
		name, body, coding string
		status             int
		code, says         string
	}{
		{"mark_alone", "\ufeff", "", 400, "bad-request", "body"},
		{"utf16_mark_alone", "\xff\xfe", "", 400, "bad-request", "body"},
		{"half_a_character", "\xff\xfe{", "", 400, "bad-request", "cut off"},
		{"not_gzip", report, "gzip", 400, "bad-request", "damaged gzip"},
		{"empty_gzip", "", "gzip", 400, "bad-request", "body"},
		{"truncated_gzip", inGzip(report)[:60], "gzip", 400, "bad-request", "damaged gzip"},
		{"without_checksum", inGzip(report)[:len(inGzip(report))-8], "gzip", 400, "bad-request", "damaged gzip"},
		{"wrong_checksum", inGzip(report)[:len(inGzip(report))-8] + "12345678", "gzip", 400, "bad-request", "damaged gzip"},
		{"unknown_coding", report, "br", 415, "internal-error", "gzip"},
		{"two_codings", inGzip(inGzip(report)), "gzip, gzip", 415, "internal-error", "gzip"},
		{"gzip_without_header", inGzip(report), "", 400, "bad-request", "invalid JSON"},
		{"bomb", inGzip(strings.Repeat(" ", 15<<20) + report), "gzip", 400, "bad-request", "factor"},
		{"too_large", long, "", 413, "request-too-large", "16777216"},
		{"decoded_too_large", inGzip(strings.Replace(long, "xxx", strings.ReplaceAll(string(random), "\\", "/"), 1)), "gzip", 413, "request-too-large", "16777216"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := w
			w.T = t
			headers := []string{"Content-Type", "application/json"}
			if c.coding != "" {
				headers = append(headers, "Content-Encoding", c.coding)
			}
			a := w.send("PUT", iRep+hashA, c.body, headers...)
			w.refuses(a, c.status, c.code)
			require.Contains(t, a.body, c.says)
			require.Equal(t, 404, w.do("GET", iRep+hashA, "").StatusCode, "nothing is stored")
		})
	}
}
