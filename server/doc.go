// Package server speaks HTTP: Clair v4's API to its unmodified clients, and
// Oriel's own beside it. It knows nothing of SQL; the interfaces it consumes
// stand beside the handlers that need them.
//
// Every error is {"code","message"} with the headers Clair sends, but for the
// bodies that Clair's contract wants empty (202, 304, 412). These are the
// places where Clair's behaviour is kept although it looks odd, or left
// although it is Clair's:
//
//   - 415, 500 and every other status without a word of its own carry the
//     code "internal-error" (clair:httptransport/error.go).
//   - The ETag of an index report is the indexer's state and no hash of the
//     report (clair:httptransport/indexer_v1.go). Quay re-indexes everything
//     when it changes.
//   - The digest of a manifest is the last segment of the path, whatever
//     stands between (clair:httptransport/common.go).
//   - A vulnerability report has the media type of vulnerability reports;
//     Clair sends that of index reports (clair:httptransport/matcher_v1.go).
//   - A report is looked up before its ETag is compared; Clair answers 304 for
//     manifests it has never seen.
//   - In the original protocol of Patches a full queue is 202 and an unknown
//     platform 400, and what is done is 202 in one dialect and 200 in the other;
//     the state beside them tells. Sessions that are over or never were get 410
//     and 404 in both, where the original said that nothing was prepared yet.
//   - kind is filled in update operations; Clair leaves it empty.
//   - A vulnerability report says in Oriel-Data-Age and Oriel-Partial how old
//     the data are that it was made from, and what of them is missing. So does
//     /readyz, which is 503 until each feed has succeeded once; Clair's says
//     nothing of data.
//   - / is a page for browsers; who does not ask for HTML speaks the original
//     protocol of Patches there.
//   - A vulnerability of a notification has severity and normalized_severity,
//     repo and repository: Clair's server sends the first of each pair, its
//     own schema and Quay name the second.
//   - A notification's unknown id is a 404; Clair answers an empty page.
package server
