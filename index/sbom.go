package index

import (
	"crypto/sha256"
	"encoding/hex"

	"oriel/clair"
	"oriel/index/sbom"
	"oriel/internal/distro"
)

// SBOMOptions are facts that a caller knows about an SBOM.
type SBOMOptions struct {
	// Hash is the manifest's digest. Default: the digest of the document.
	Hash clair.Digest
	// Release overrides the distribution of all the distribution's packages.
	Release *distro.Release
}

// DigestOf returns the digest of a document, which identifies it if nothing
// else does.
func DigestOf(document []byte) clair.Digest {
	sum := sha256.Sum256(document)
	return clair.Digest("sha256:" + hex.EncodeToString(sum[:]))
}

// ReadSBOM makes an index report of an SBOM. The error is an ErrInvalid.
func ReadSBOM(format sbom.Format, document []byte, o SBOMOptions) (*clair.IndexReport, error) {
	doc, err := sbom.Read(format, document, o.Release)
	if err != nil {
		return nil, err
	}
	hash := o.Hash
	if hash == "" {
		hash = DigestOf(document)
	}
	r := newReport(hash)
	for _, p := range doc.Packages {
		r.add(p.Package, place{db: p.Path, dist: p.Distribution, ecosystem: p.Ecosystem})
	}
	for _, u := range doc.Unmatched {
		r.unmatch(u)
	}
	report := r.finish()
	return report, Ready(report, hash)
}
