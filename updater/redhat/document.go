package redhat

import (
	"errors"
	"fmt"
	"io"
	"time"

	"oriel/clair"
	"oriel/internal/feed"
)

// maxVEX limits one VEX document. The largest have some 40 MB; they are read
// as streams, and only a small part of them is kept.
const maxVEX = 128 << 20

// errDeletedVEX means that a document was withdrawn.
var errDeletedVEX = errors.New("the document is deleted")

// vexDocument has the relevant parts of a CSAF document of the VEX profile.
type vexDocument struct {
	Meta struct {
		Severity struct {
			Text string `json:"text"`
		} `json:"aggregate_severity"`
		References []vexReference `json:"references"`
		Tracking   struct {
			ID     string `json:"id"`
			Status string `json:"status"`
		} `json:"tracking"`
	}
	// helpers are the package URLs and CPEs of products by product id.
	helpers map[string]vexHelper
	// parts are the products that are components of others.
	parts           map[string]vexRelation
	vulnerabilities []vexVulnerability
}

type vexReference struct {
	Category string `json:"category"`
	URL      string `json:"url"`
}

type vexHelper struct {
	CPE  string `json:"cpe"`
	PURL string `json:"purl"`
}

type vexProduct struct {
	ID     string    `json:"product_id"`
	Helper vexHelper `json:"product_identification_helper"`
}

// vexRelation is a product that is a component in a platform.
type vexRelation struct{ component, platform string }

type vexVulnerability struct {
	CVE   string `json:"cve"`
	Notes []struct {
		Category string `json:"category"`
		Text     string `json:"text"`
	} `json:"notes"`
	References []vexReference `json:"references"`
	Released   time.Time      `json:"release_date"`
	Status     struct {
		Fixed         []string `json:"fixed"`
		KnownAffected []string `json:"known_affected"`
	} `json:"product_status"`
	Remediations []struct {
		Category string   `json:"category"`
		URL      string   `json:"url"`
		Products []string `json:"product_ids"`
	} `json:"remediations"`
	Scores []struct {
		Products []string `json:"products"`
		V4       *vexCVSS `json:"cvss_v4"`
		V3       *vexCVSS `json:"cvss_v3"`
		V2       *vexCVSS `json:"cvss_v2"`
	} `json:"scores"`
	Threats []struct {
		Category string   `json:"category"`
		Details  string   `json:"details"`
		Products []string `json:"product_ids"`
	} `json:"threats"`
}

type vexCVSS struct {
	Vector string  `json:"vectorString"`
	Base   float64 `json:"baseScore"`
}

// readVEX reads one document. The error of a withdrawn one is errDeletedVEX,
// with its id.
func readVEX(r io.Reader) (*vexDocument, error) {
	limit := &feed.ElementReader{R: r, Left: maxVEX, Limit: maxVEX}
	d := &vexDocument{helpers: map[string]vexHelper{}, parts: map[string]vexRelation{}}
	dec := feed.NewJSON(limit)
	err := dec.Object(func(key string) error {
		switch key {
		case "document":
			return dec.Decode(&d.Meta)
		case "product_tree":
			return d.readTree(dec)
		case "vulnerabilities":
			return dec.Array(func() error {
				var v vexVulnerability
				if err := dec.Decode(&v); err != nil {
					return err
				}
				d.vulnerabilities = append(d.vulnerabilities, v)
				return nil
			})
		default:
			return dec.Skip()
		}
	})
	if err == nil {
		err = dec.End()
	}
	switch {
	case err != nil:
		return d, fmt.Errorf("VEX document: %w", err)
	case d.Meta.Tracking.ID == "":
		return d, feed.Malformed("a VEX document without an id")
	case d.Meta.Tracking.Status == "deleted":
		return d, errDeletedVEX
	}
	return d, nil
}

func (d *vexDocument) readTree(dec *feed.JSON) error {
	return dec.Object(func(key string) error {
		switch key {
		case "branches":
			return d.readBranches(dec, 0)
		case "full_product_names":
			return dec.Array(func() error { return d.readProduct(dec) })
		case "relationships":
			return dec.Array(func() error {
				var r struct {
					Full      vexProduct `json:"full_product_name"`
					Component string     `json:"product_reference"`
					Platform  string     `json:"relates_to_product_reference"`
				}
				if err := dec.Decode(&r); err != nil {
					return err
				}
				d.parts[r.Full.ID] = vexRelation{r.Component, r.Platform}
				return nil
			})
		default:
			return dec.Skip()
		}
	})
}

// maxBranches limits the depth of branches; real documents have four.
const maxBranches = 64

func (d *vexDocument) readBranches(dec *feed.JSON, depth int) error {
	if depth > maxBranches {
		return fmt.Errorf("%w: branches nested more than %d deep", clair.ErrTooLarge, maxBranches)
	}
	return dec.Array(func() error {
		return dec.Object(func(key string) error {
			switch key {
			case "branches":
				return d.readBranches(dec, depth+1)
			case "product":
				return d.readProduct(dec)
			default:
				return dec.Skip()
			}
		})
	})
}

func (d *vexDocument) readProduct(dec *feed.JSON) error {
	var p vexProduct
	if err := dec.Decode(&p); err != nil {
		return err
	}
	if p.Helper != (vexHelper{}) {
		d.helpers[p.ID] = p.Helper
	}
	return nil
}
