package index

import (
	"crypto/sha256"
	"encoding/hex"

	"oriel/clair"
	"oriel/index/sbom"
)

// SBOMOptions are what a caller knows about an SBOM.
type SBOMOptions struct {
	// Hash is the manifest's digest. Default: the digest of the document.
	Hash clair.Digest
	// Release overrides the distribution of all the distribution's packages.
	Release *clair.Release
}

// SBOM is an SBOM as an index report.
type SBOM struct {
	Report *clair.IndexReport
	// Unmatched are the components that are not in the report because they
	// cannot be matched with advisories, and why.
	Unmatched []Skipped
}

// DigestOf returns the digest of a document, which identifies it if nothing
// else does.
func DigestOf(document []byte) clair.Digest {
	sum := sha256.Sum256(document)
	return clair.Digest("sha256:" + hex.EncodeToString(sum[:]))
}

// ReadSBOM makes an index report of an SBOM. The error is an ErrInvalid.
func ReadSBOM(format sbom.Format, document []byte, o SBOMOptions) (*SBOM, error) {
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
	out := &SBOM{Report: r.finish()}
	for _, u := range doc.Unmatched {
		out.Unmatched = append(out.Unmatched, Skipped{What: u.Component, Reason: u.Reason})
	}
	return out, Ready(out.Report, hash)
}
