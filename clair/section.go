package clair

// Section is the current rows of one updater that share a distribution and a
// repository: the smallest part in which the list of a platform is read.
type Section struct {
	ID SectionID
	// Dist and Repo are nil where the rows have none. They are shared and
	// must not be changed.
	Dist *Distribution
	Repo *Repository
	Rows int
}

// SectionID tells sections apart for as long as a database lives.
type SectionID struct{ Updater, Dist, Repo int64 }

// RowMark is how far the reading of some sections has come: to which of them,
// and after which of its rows. The zero value is the beginning.
type RowMark struct {
	Section int
	Row     int64
}

// SectionPage is some rows of sections that are read in order.
type SectionPage struct {
	Rows []*Vulnerability
	// Next is where the rows after these begin, and Done says that there are
	// none.
	Next RowMark
	Done bool
	// Needs is about how many bytes the first row takes where that is more
	// than was allowed for all of them. Then there are no rows.
	Needs int64
}
