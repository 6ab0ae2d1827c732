package updater

import (
	"oriel/internal/feed"
	"oriel/updater/alpine"
	"oriel/updater/debian"
	"oriel/updater/mirror"
	"oriel/updater/osv"
	"oriel/updater/oval"
	"oriel/updater/redhat"
	"oriel/updater/updateinfo"
)

// Formats are the formats of this package. The caller may add to the list.
func Formats() feed.Registry {
	return feed.Registry{
		osv.Format(), alpine.Format(), debian.Format(), oval.Format(), redhat.Format(), updateinfo.Format(),
		mirror.ClairFormat(), mirror.LinesFormat(),
	}
}
