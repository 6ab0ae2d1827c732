package bench

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"strings"
	"time"

	"oriel/clair"
)

var words = strings.Fields(`a an of in to the allows remote local attacker crafted request header parser buffer overflow
	use-after-free out-of-bounds read write denial service memory exhaustion path traversal injection authentication
	bypass improper validation certificate session token race condition integer underflow via before after when function
	handler module option default unauthenticated privilege escalation information disclosure loop deserialization`)

// feed is a synthetic feed with one row of about 1.1 KB for each advisory. It is
// the same for the same seed. A few packages have most of the rows.
type rowSource struct {
	rows     int
	packages int
	// change is the share of rows that differ from the feed with change 0.
	change float64
	// cves selects CVE ids as the names of the advisories.
	cves bool
}

const seed = 20261124

// all streams the feed, with one row in memory at a time.
func (f rowSource) all() iter.Seq2[*clair.Vulnerability, error] {
	dists := make([]*clair.Distribution, 4)
	for i := range dists {
		v := fmt.Sprint(10 + i)
		dists[i] = &clair.Distribution{DID: "debian", Name: "Debian GNU/Linux", VersionID: v, Version: v, PrettyName: "Debian GNU/Linux " + v}
	}
	texts := texts()
	return func(yield func(*clair.Vulnerability, error) bool) {
		for i := range f.rows {
			if !yield(f.row(i, dists, texts), nil) {
				return
			}
		}
	}
}

func (f rowSource) row(i int, dists []*clair.Distribution, texts []string) *clair.Vulnerability {
	r := rand.New(rand.NewPCG(seed, uint64(i)))
	id := fmt.Sprintf("SYN-%d-%07d", 2010+i%17, i)
	if f.cves {
		id = fmt.Sprintf("CVE-%d-%07d", 2010+i%17, i)
	}
	p := int(float64(f.packages) * pow4(r.Float64()))
	v := &clair.Vulnerability{
		Name: id, Description: texts[r.IntN(len(texts))] + texts[r.IntN(len(texts))], Issued: time.Date(2010+i%17, 1, 1+r.IntN(300), 0, 0, 0, 0, time.UTC),
		Links:    "https://example.test/advisory/" + id + " https://example.test/commit/" + fmt.Sprintf("%040x", r.Uint64()),
		Severity: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", NormalizedSeverity: clair.Severity(r.IntN(6)),
		Package: &clair.Package{Name: packageName(p), Kind: clair.Source}, Dist: dists[r.IntN(len(dists))],
		FixedInVersion: fmt.Sprintf("%d.%d.%d-%d+deb12u%d", r.IntN(10), r.IntN(30), r.IntN(20), r.IntN(4), 1+r.IntN(3)),
	}
	if r.Float64() < f.change {
		v.FixedInVersion += "+changed"
	}
	return v
}

func pow4(x float64) float64 { return x * x * x * x }

func packageName(i int) string {
	return fmt.Sprintf("%s-%s-%d", words[i%len(words)], words[i/7%len(words)], i)
}

// texts are the halves of descriptions: building each description word by word
// would cost more than storing it.
func texts() []string {
	r := rand.New(rand.NewPCG(seed, 0))
	out := make([]string, 2000)
	for i := range out {
		var b strings.Builder
		for range 30 + r.IntN(50) {
			b.WriteString(words[r.IntN(len(words))])
			b.WriteByte(' ')
		}
		out[i] = b.String()
	}
	return out
}
