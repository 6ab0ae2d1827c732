package clair

// The media types of Clair's enrichments. Each message under them maps the ids
// of vulnerabilities to lists of records.
const (
	// TypeCVSS has the "cvssData" objects of NVD's CVE API 2.0. Quay's client
	// assumes that it is the first enrichment of a report.
	TypeCVSS = "message/vnd.clair.map.vulnerability; enricher=clair.cvss schema=https://csrc.nist.gov/schema/nvd/api/2.0/cve_api_json_2.0.schema"
	// TypeEPSS has objects with "modelVersion", "date", "cve", "epss" and
	// "percentile".
	TypeEPSS = "message/vnd.clair.map.vulnerability; enricher=clair.epss schema=none"
	// TypeKEV has the entries of CISA's catalogue in Clair's spelling.
	TypeKEV = "message/vnd.clair.map.vulnerability; enricher=clair.kev schema=none"
)
