// Package server implements Oriel's HTTP API: Clair v4's API for unmodified
// clients, and Oriel's own. It knows nothing of SQL; each file declares the
// interfaces that its handlers consume.
//
// Every error is {"code","message"} with Clair's headers, except for responses
// that Clair's contract leaves empty (202, 304, 401, 412). The following
// behavior of Clair is kept although it looks odd, or changed on purpose:
//
//   - 415, 500 and every other status without its own code have the code
//     "internal-error" (clair:httptransport/error.go).
//   - The ETag of an index report is the indexer's state, not a hash of the
//     report (clair:httptransport/indexer_v1.go). Quay re-indexes everything
//     when it changes.
//   - The digest of a manifest is the last segment of the path; the segments
//     before it are ignored (clair:httptransport/common.go).
//   - A vulnerability report has the media type of vulnerability reports;
//     Clair sends that of index reports (clair:httptransport/matcher_v1.go).
//   - A report is looked up before its ETag is compared; Clair answers 304 for
//     manifests that it has never seen.
//   - In the original protocol of Patches a full queue is 202 and an unknown
//     platform 400, and a finished session is 202 in one dialect and 200 in the
//     other; the added state tells these apart. Ended and unknown sessions get
//     410 and 404 in both, where the original answered that nothing was
//     prepared yet.
//   - Update operations have a kind; Clair leaves it empty.
//   - A vulnerability report has headers for the age of its data and for what
//     is missing. So has /readyz, which is 503 until each feed has succeeded
//     once; Clair's is not related to data.
//   - / is a page for browsers; requests that do not accept HTML are requests
//     of the original protocol of Patches.
//   - A vulnerability of a notification has severity and normalized_severity,
//     repo and repository: Clair's server sends the first of each pair, its
//     schema and Quay use the second.
//   - An unknown notification is a 404; Clair answers with an empty page.
package server
