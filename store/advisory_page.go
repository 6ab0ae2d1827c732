package store

import (
	"context"
	"fmt"
	"slices"

	"oriel/clair"
	"oriel/store/compress"
	"oriel/store/sqlitedb"
)

// Sections returns the sections that have rows in the snapshot, in the order
// of their ids, with the number of their rows.
func (s *Snapshot) Sections(ctx context.Context) ([]clair.Section, error) {
	return s.sections(ctx, &s.db.counted, s.countSections)
}

func (s *Snapshot) countSections(ctx context.Context, updater int64) ([]clair.Section, error) {
	// The index has the rows in the order of the groups.
	const count = `
		SELECT updater_id, dist_id, repo_id, count(*)
		FROM vuln_row INDEXED BY vuln_row_section
		WHERE updater_id = ?1 AND added <= ?2 AND (removed IS NULL OR removed > ?2)
		GROUP BY dist_id, repo_id`
	return sqlitedb.ReadPage(ctx, s.db.Read, count, scanSection, updater, s.seqs[updater])
}

// textBatch is how many rows' texts are read, packed as they are stored,
// before it is known whether they fit.
const textBatch = 32

// Page reads the rows of some sections after a cursor: at most limit of them,
// and not more than about size bytes. It is for one goroutine at a time.
func (s *Snapshot) Page(ctx context.Context, sections []clair.SectionID, from clair.Cursor, limit int, size int64) (clair.SectionPage, error) {
	if s.resolver == nil {
		s.resolver = s.db.newRowResolver(s.names)
		s.resolver.aliases = true
	}
	page, err := s.page(ctx, sections, from, limit, size)
	if err != nil {
		return clair.SectionPage{}, fmt.Errorf("read sections: %w", err)
	}
	return page, nil
}

func (s *Snapshot) page(ctx context.Context, sections []clair.SectionID, from clair.Cursor, limit int, size int64) (out clair.SectionPage, err error) {
	rows, end, err := s.narrow(ctx, sections, from, limit)
	if err != nil {
		return out, err
	}
	for batch := range slices.Chunk(rows, textBatch) {
		fits, needs, err := s.complete(ctx, batch, size)
		if err != nil {
			return out, err
		}
		size -= needs
		for _, row := range batch[:fits] {
			out.Rows = append(out.Rows, row.v)
			out.Next = row.end
		}
		if fits < len(batch) {
			if len(out.Rows) == 0 {
				out.Needs, out.Next = rowSize(batch[0]), from
			}
			return out, nil
		}
	}
	out.Next, out.Done = end, end.Section == len(sections)
	return out, nil
}

// sectionRow is a row with the cursor that follows it and its stored texts.
type sectionRow struct {
	stored
	end   clair.Cursor
	texts storedTexts
}

// narrow reads rows without the values that they refer to, from as many
// sections as necessary, and returns the cursor of the next.
func (s *Snapshot) narrow(ctx context.Context, sections []clair.SectionID, at clair.Cursor, limit int) (out []sectionRow, next clair.Cursor, _ error) {
	// The index has the rows of a section in the order of their ids.
	const read = `
		SELECT ` + narrowColumns + `
		FROM vuln_row AS r INDEXED BY vuln_row_section
		WHERE r.updater_id = ?1 AND r.dist_id = ?2 AND r.repo_id = ?3 AND r.id > ?4
		AND r.added <= ?5 AND (r.removed IS NULL OR r.removed > ?5)
		ORDER BY r.id
		LIMIT ?6`
	for at.Section < len(sections) && len(out) < limit {
		sec, want := sections[at.Section], limit-len(out)
		seq, ok := s.seqs[sec.Updater]
		if !ok {
			at = clair.Cursor{Section: at.Section + 1}
			continue
		}
		got, err := s.db.readRows(ctx, read, sec.Updater, sec.Dist, sec.Repo, at.Row, seq, want)
		if err != nil {
			return nil, at, err
		}
		for _, row := range got {
			at.Row = row.id
			out = append(out, sectionRow{stored: row, end: at})
		}
		if len(got) < want {
			at = clair.Cursor{Section: at.Section + 1}
		}
	}
	return out, at, nil
}

// complete fills in the values that the first rows refer to, for as many rows
// as fit into size bytes, and returns their number and size.
func (s *Snapshot) complete(ctx context.Context, batch []sectionRow, size int64) (fits int, took int64, err error) {
	page := make([]stored, len(batch))
	for i := range batch {
		page[i] = batch[i].stored
		if err := s.resolver.refer(ctx, &page[i]); err != nil {
			return 0, 0, err
		}
	}
	texts, err := s.resolver.packedAdvisories(ctx, page)
	if err != nil {
		return 0, 0, err
	}
	for i := range batch {
		batch[i].texts = texts[i]
	}
	for fits < len(batch) && took+rowSize(batch[fits]) <= size {
		took += rowSize(batch[fits])
		fits++
	}
	return fits, took, s.resolver.unpack(page[:fits], texts[:fits])
}

// rowSize returns the approximate size of a row as JSON.
func rowSize(r sectionRow) int64 {
	const rest = 700 // names, numbers, distribution and repository
	return rest + compress.UnpackedLen(r.texts.description) + compress.UnpackedLen(r.texts.links) + int64(len(r.v.FixedInVersion)+len(r.v.Package.Name))
}
