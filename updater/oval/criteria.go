package oval

import (
	"regexp"
	"strings"

	"oriel/clair"
	"oriel/internal/distro"
)

// walk collects the rows of a node and of all nodes below it. In an AND, the
// leaves about the system narrow the scope of the others, and so do whole
// nodes of such leaves; in an OR each of them is independent.
func (w *ovalWalk) walk(n ovalCriteria, scope ovalScope) {
	if n.Negate {
		return
	}
	if !strings.EqualFold(n.Operator, "OR") {
		scope = w.narrow(n, scope)
	}
	for _, leaf := range n.Tests {
		if !leaf.Negate && !w.ofSystem(leaf) {
			w.test(leaf, scope)
		}
	}
	for _, below := range n.Criteria {
		w.walk(below, scope)
	}
}

// narrow returns the scope inside of an AND.
func (w *ovalWalk) narrow(n ovalCriteria, scope ovalScope) ovalScope {
	var releases []distro.Release
	asked := false
	leaves := append(n.Tests[:len(n.Tests):len(n.Tests)], n.Extends...)
	for _, below := range n.Criteria {
		if w.onlySystem(below) {
			leaves = append(append(leaves, below.Tests...), below.Extends...)
		}
	}
	for _, leaf := range leaves {
		if leaf.Negate {
			continue
		}
		if words, ok := installed(leaf.Comment); ok && w.ofSystem(leaf) {
			asked = true
			if r, ok := w.releaseOf(words); ok {
				releases = append(releases, r)
			}
		}
		if m := archComment.FindStringSubmatch(leaf.Comment); m != nil {
			scope.arch = m[1]
		}
		if m := moduleComment.FindStringSubmatch(leaf.Comment); m != nil {
			scope.module = m[1]
		}
	}
	if asked {
		scope.releases = withoutDerived(releases)
	}
	return scope
}

// withoutDerived omits releases whose parent is also in the list: rows of the
// parent hold for them, and SUSE lists each package for six products.
func withoutDerived(list []distro.Release) []distro.Release {
	var kept []distro.Release
next:
	for i, r := range list {
		for j, o := range list {
			if o.Platform == r.Of || o == r && j < i {
				continue next
			}
		}
		kept = append(kept, r)
	}
	return kept
}

// onlySystem reports whether a node and all nodes below it are only about the
// system.
func (w *ovalWalk) onlySystem(n ovalCriteria) bool {
	for _, leaf := range n.Tests {
		if !w.ofSystem(leaf) {
			return false
		}
	}
	for _, below := range n.Criteria {
		if !w.onlySystem(below) {
			return false
		}
	}
	return true
}

var (
	// archComment and moduleComment match the comments of Oracle and Red Hat.
	archComment   = regexp.MustCompile(`(?i)\barch(?:itecture)? is ([a-z0-9_]+)`)
	moduleComment = regexp.MustCompile(`(?i)^module ([^\s:]+:[^\s:]+) is enabled`)
	signedComment = regexp.MustCompile(`(?i) is signed with `)
)

// installed returns the words before "is installed".
func installed(comment string) (string, bool) {
	words, ok := strings.CutSuffix(strings.TrimSuffix(strings.TrimSpace(comment), "."), " is installed")
	return words, ok
}

// ofSystem reports whether a leaf is about the system and not about a package
// with a version to compare: its release, its architecture, an enabled module
// or a signature.
func (w *ovalWalk) ofSystem(leaf ovalCriterion) bool {
	if archComment.MatchString(leaf.Comment) || moduleComment.MatchString(leaf.Comment) || signedComment.MatchString(leaf.Comment) {
		return true
	}
	if _, ok := installed(leaf.Comment); !ok {
		return false
	}
	// SUSE's comments say of packages, too, that they are installed, but
	// compare them with a version and a release, and products only with a
	// version.
	for _, id := range w.index.statesOf(w.index.key(leaf.Ref)) {
		if state, _ := w.index.state(id); state.evr != "" {
			return false
		}
	}
	return true
}

// test adds the rows of one package test.
func (w *ovalWalk) test(leaf ovalCriterion, scope ovalScope) {
	test, ok := w.index.tests[w.index.key(leaf.Ref)]
	if !ok {
		w.problem("%w: it refers to test %.80q, which is not there", clair.ErrInvalid, leaf.Ref)
		return
	}
	object, ok := w.index.objects[test.object]
	names := w.index.names(object)
	if !ok || len(names) == 0 {
		w.problem("%w: test %.80q names no package", clair.ErrInvalid, leaf.Ref)
		return
	}
	row := ovalRow{arch: scope.arch, module: scope.module}
	if scope.arch != "" {
		row.archOp = clair.ArchEquals
	}
	if !w.compare(leaf, &row) {
		return
	}
	if len(scope.releases) == 0 {
		w.problem("%w: test %.80q is for no known release", clair.ErrInvalid, leaf.Ref)
	}
	for _, row.release = range scope.releases {
		for _, row.name = range names {
			w.add(row)
		}
	}
}

func (w *ovalWalk) add(row ovalRow) {
	if !w.found[row] {
		w.found[row] = true
		w.order = append(w.order, row)
	}
}

// compare reads a test's states into the row. It returns false if the test
// finds nothing affected.
func (w *ovalWalk) compare(leaf ovalCriterion, row *ovalRow) bool {
	states := w.index.statesOf(w.index.key(leaf.Ref))
	if len(states) == 0 {
		// Ubuntu only tests whether an affected package is installed.
		words := strings.ToLower(leaf.Comment)
		return strings.Contains(words, "affected") && !strings.Contains(words, "not affected")
	}
	for _, id := range states {
		state, ok := w.index.state(id)
		if !ok {
			w.problem("%w: test %.80q refers to a state that is not there", clair.ErrInvalid, leaf.Ref)
			return false
		}
		if !state.read(row) {
			if state.evr != "" && state.op != "equals" {
				w.problem("%w: test %.80q compares with %.40q", clair.ErrInvalid, leaf.Ref, state.op)
			}
			return false
		}
	}
	return true
}

// read reads a state into the row. It returns false if the state makes no row:
// it compares a signature, or a version that nothing has, by which SUSE marks
// packages that are not affected.
func (s ovalState) read(row *ovalRow) bool {
	switch {
	case s.evr == "":
		return false
	case s.op == "less than", s.op == "6":
		// Some tools write the number of the operation.
		row.fixed = withoutSpaces(s.evr)
	case s.op == "less than or equal":
		row.last = withoutSpaces(s.evr)
	case s.op == "greater than" && strings.HasPrefix(s.evr, "0:0"):
		// Any version at all.
	default:
		return false
	}
	if s.arch == "" {
		return true
	}
	row.arch, row.archOp = s.arch, clair.ArchEquals
	if s.archOp == "pattern match" {
		// Clair's pattern is unanchored, so the parentheses have no meaning.
		row.arch = strings.TrimSuffix(strings.TrimPrefix(s.arch, "("), ")")
		row.archOp = clair.ArchPattern
		if strings.ContainsAny(row.arch, "()") {
			row.arch = s.arch
		}
	}
	return true
}

// withoutSpaces removes spaces that some publishers write within a version,
// such as "0: 1.20.10-1.azl3".
func withoutSpaces(version string) string { return strings.Join(strings.Fields(version), "") }
