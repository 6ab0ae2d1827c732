package clair

import (
	"encoding/json"
	"net/http"
)

// The states of an index report, in their order.
const (
	StateCheckManifest = "CheckManifest"
	StateFetchLayers   = "FetchLayers"
	StateScanLayers    = "ScanLayers"
	StateCoalesce      = "Coalesce"
	StateIndexManifest = "IndexManifest"
	// StateIndexFinished is the state of a report that can be matched.
	StateIndexFinished = "IndexFinished"
	// StateIndexError is the state of a report whose Err describes a failure.
	StateIndexError = "IndexError"
)

// Manifest is an image to be indexed, with its layers, bottom first.
type Manifest struct {
	Hash   Digest  `json:"hash"`
	Layers []Layer `json:"layers"`
}

// Layer is one layer of a Manifest and its address.
type Layer struct {
	Hash    Digest      `json:"hash"`
	URI     string      `json:"uri"`
	Headers http.Header `json:"headers"`
}

// IndexReport is the content of a manifest. Its maps are keyed by the ids of
// their members; "repository" is singular in Clair's JSON.
type IndexReport struct {
	Hash          Digest                   `json:"manifest_hash"`
	State         string                   `json:"state"`
	Packages      map[string]*Package      `json:"packages"`
	Distributions map[string]*Distribution `json:"distributions"`
	Repositories  map[string]*Repository   `json:"repository"`
	Environments  map[string][]Environment `json:"environments"`
	Success       bool                     `json:"success"`
	Err           string                   `json:"err"`
	// Unmatched are the components of the manifest that cannot be matched
	// with advisories, and files that might have held more. Clair's clients
	// ignore it.
	Unmatched []Unmatched `json:"unmatched,omitempty"`
}

// Unmatched is a component that was found in a manifest and cannot be matched
// with advisories.
type Unmatched struct {
	// Package is the component's name, its package URL, or the path of a
	// file that could not be read.
	Package string `json:"package"`
	// Version is "" if it is unknown or part of Package.
	Version string `json:"version"`
	Reason  string `json:"reason"`
}

// VulnerabilityReport is an index report's content with the vulnerabilities
// that affect it.
type VulnerabilityReport struct {
	Hash            Digest                    `json:"manifest_hash"`
	Packages        map[string]*Package       `json:"packages"`
	Distributions   map[string]*Distribution  `json:"distributions"`
	Repositories    map[string]*Repository    `json:"repository"`
	Environments    map[string][]Environment  `json:"environments"`
	Vulnerabilities map[string]*Vulnerability `json:"vulnerabilities"`
	// PackageVulnerabilities maps the id of a package to the ids of its
	// vulnerabilities, each once.
	PackageVulnerabilities map[string][]string `json:"package_vulnerabilities"`
	Enrichments            Enrichments         `json:"enrichments"`
}

// Enrichments are the messages of each enricher by media type, in the order of
// their JSON keys: Quay's client reads the first key as CVSS.
type Enrichments []Enrichment

// Enrichment is the messages of one enricher about a report.
type Enrichment struct {
	Type     string
	Messages []json.RawMessage
}

// MarshalJSON writes an object whose keys keep their order.
func (e Enrichments) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i, one := range e {
		if i > 0 {
			b = append(b, ',')
		}
		key, err := json.Marshal(one.Type)
		if err != nil {
			return nil, err
		}
		val, err := json.Marshal(one.Messages)
		if err != nil {
			return nil, err
		}
		b = append(append(append(b, key...), ':'), val...)
	}
	return append(b, '}'), nil
}

// AffectedManifests are manifests that a vulnerability affects.
type AffectedManifests struct {
	// Vulnerability is the index of the vulnerability in the question.
	Vulnerability int
	Manifests     []Digest
}
