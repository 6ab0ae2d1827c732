package enrich

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"

	"oriel/clair"
	"oriel/internal/feed"
	"oriel/internal/fetch"
)

// kevShared is the tag of the record with the catalog's version, which is the
// same for all entries.
const kevShared = "KEV"

// kev has CISA's catalog of vulnerabilities that are known to be exploited.
func kev() Enrichment {
	return Enrichment{
		Name: "kev", Format: "kev", Enricher: annotator{name: "clair.kev", mediaType: clair.TypeKEV, shared: kevShared},
		NewFeed: func(f feed.Feed, c *fetch.Client) clair.Updater {
			return &fileFeed{Feed: f, client: c, format: "kev", version: 1, parse: parseKEV}
		},
	}
}

// kevEntry is an entry of the catalogue in CISA's spelling.
type kevEntry struct {
	CVE         string `json:"cveID"`
	Name        string `json:"vulnerabilityName"`
	Added       string `json:"dateAdded"`
	Description string `json:"shortDescription"`
	Action      string `json:"requiredAction"`
	Due         string `json:"dueDate"`
	Ransomware  string `json:"knownRansomwareCampaignUse"`
}

// kevRecord is an entry in Clair's spelling, without the catalog's version.
type kevRecord struct {
	CVE         string `json:"cve"`
	Name        string `json:"vulnerability_name"`
	Added       string `json:"date_added"`
	Description string `json:"short_description"`
	Action      string `json:"required_action"`
	Due         string `json:"due_date"`
	Ransomware  string `json:"known_ransomware_campaign_use"`
}

// parseKEV reads the catalogue: an object with its version and a list of
// entries, one entry at a time.
func parseKEV(src io.Reader, e feed.RecordEmitter) error {
	r := feed.NewJSON(src)
	found := 0
	err := r.Object(func(key string) error {
		switch key {
		case "catalogVersion":
			return kevVersion(r, e)
		case "vulnerabilities":
			return r.Array(func() error {
				found++
				return kevOne(r, e, found)
			})
		}
		return r.Skip()
	})
	if err == nil && found == 0 {
		err = feed.Malformed("there is not one entry in it")
	}
	return err
}

func kevVersion(r *feed.JSON, e feed.RecordEmitter) error {
	var shared struct {
		Version string `json:"catalog_version"`
	}
	if err := r.Decode(&shared.Version); err != nil {
		return fmt.Errorf("catalogVersion: %w", err)
	}
	data, err := json.Marshal(shared)
	if err != nil {
		return err
	}
	return e.Record(kevShared, data)
}

func kevOne(r *feed.JSON, e feed.RecordEmitter, number int) error {
	var in kevEntry
	err := r.Decode(&in)
	wrongType := feed.WrongType(err)
	record := fmt.Sprintf("entry %d (%.40s)", number, cmp.Or(in.CVE, "without a CVE"))
	switch {
	case wrongType:
		return e.Skip(record, feed.Malformed("%v", err))
	case err != nil:
		return fmt.Errorf("%s: %w", record, err)
	}
	cve, ok := recordCVE(in.CVE)
	if !ok {
		return e.Skip(record, feed.Malformed("no CVE"))
	}
	in.CVE = cve
	data, err := json.Marshal(kevRecord(in))
	if err != nil {
		return err
	}
	return e.DatedRecord(cve, data, feed.ParseDate(in.Added))
}
