package clair

// Section is the current rows of one updater that share a distribution and a
// repository: the smallest part in which the list of a platform is read.
type Section struct {
	ID SectionID
	// Updater is the name of the updater.
	Updater string
	// Dist and Repo are nil if the rows have none. They are shared and must
	// not be changed.
	Dist *Distribution
	Repo *Repository
	Rows int
}

// SectionID identifies a section for the lifetime of a database.
type SectionID struct{ Updater, Dist, Repo int64 }

// Cursor is a position in a list of sections: the index of a section, and the
// row of it that was read last. The zero value is the beginning.
type Cursor struct {
	Section int
	Row     int64
}

// SectionPage is a page of the rows of some sections.
type SectionPage struct {
	Rows []*Vulnerability
	// Next is the position after these rows. Done reports that there are no
	// more.
	Next Cursor
	Done bool
	// Needs is the approximate size of the first row in bytes if it exceeds
	// the size allowed for all of them. Then there are no rows.
	Needs int64
}
