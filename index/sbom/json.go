package sbom

import (
	"encoding/json"
	"fmt"

	"oriel/clair"
)

// Detect returns the format of a JSON document; ok is false if it is not an
// SBOM. It decides by keys that only one format has.
func Detect(document []byte) (f Format, ok bool) {
	var keys struct {
		BOMFormat   string           `json:"bomFormat"`
		SPDXVersion string           `json:"spdxVersion"`
		Context     *json.RawMessage `json:"@context"`
		Graph       *json.RawMessage `json:"@graph"`
		Envelope    *json.RawMessage `json:"sbom"`
		Artifacts   *json.RawMessage `json:"artifacts"`
		Descriptor  *json.RawMessage `json:"descriptor"`
		Manifests   *json.RawMessage `json:"manifests"`
		Detector    *json.RawMessage `json:"detector"`
	}
	if json.Unmarshal(document, &keys) != nil {
		return "", false
	}
	switch {
	case keys.BOMFormat != "":
		return CycloneDXJSON, true
	case keys.SPDXVersion != "", keys.Context != nil && keys.Graph != nil:
		return SPDXJSON, true
	case keys.Artifacts != nil && keys.Descriptor != nil:
		return SyftJSON, true
	case keys.Envelope != nil, keys.Manifests != nil && keys.Detector != nil:
		return GitHubSnapshot, true
	}
	return "", false
}

// text is a JSON string, or a number that a tool wrote in place of one.
type text string

// UnmarshalJSON decodes a string, a number or null.
func (t *text) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] != '"' {
		var n json.Number
		if err := json.Unmarshal(b, &n); err != nil {
			return err
		}
		*t = text(n)
		return nil
	}
	return json.Unmarshal(b, (*string)(t))
}

// decode decodes a JSON document.
func decode(b []byte, into any) error {
	if err := json.Unmarshal(b, into); err != nil {
		return fmt.Errorf("%w: %w", clair.ErrInvalid, err)
	}
	return nil
}
