package index

import (
	"maps"
	"path"
	"slices"
	"strings"

	"oriel/index/reader"
)

const (
	// maxHops is how many links are followed for one path, as in Linux.
	maxHops = 40
	// maxLinks bounds the links of a layer that are kept, and maxSymlinks
	// those that may have replaced a directory.
	maxLinks    = 100_000
	maxSymlinks = 20_000
	// maxPasses is how often a layer is read to find the targets of its links.
	maxPasses = 3
)

// links are the links of a layer by which a reader may reach a file that has
// another name than the one it wants: hard links into an object store, and
// symbolic links at or above the path of a package database or an os-release
// file. Paths are compared and never opened.
type links struct {
	// hard has the target of each hard link whose own name a reader wants.
	hard map[string]string
	// soft has the targets of symbolic links in relevant places.
	soft map[string]string
	// roots are the paths to resolve; relevant are these, the paths they lead
	// to, and all directories above.
	roots    []string
	relevant map[string]bool
	// replaced are symbolic links that may have replaced a directory.
	replaced map[string]bool
}

func newLinks(readers []reader.Reader) *links {
	l := &links{hard: map[string]string{}, soft: map[string]string{}, relevant: map[string]bool{}, replaced: map[string]bool{}}
	for _, r := range readers {
		for _, p := range r.Paths {
			l.roots = append(l.roots, p)
			l.watch(p)
		}
	}
	return l
}

// watch makes a path and all directories above it relevant.
func (l *links) watch(p string) {
	for ; p != "." && p != "" && !l.relevant[p] && len(l.relevant) < maxLinks; p = path.Dir(p) {
		l.relevant[p] = true
	}
}

// unseen returns the relevant paths at which no link has been seen.
func (l *links) unseen() []string {
	var out []string
	for p := range l.relevant {
		if _, seen := l.soft[p]; !seen {
			out = append(out, p)
		}
	}
	return out
}

// forget drops the links at a path that something else now has.
func (l *links) forget(p string) {
	delete(l.hard, p)
	delete(l.soft, p)
	delete(l.replaced, p)
}

func (l *links) addHard(name, target string) {
	if len(l.hard) < maxLinks {
		l.hard[name] = target
	}
}

func (l *links) addSymlink(name, target string) {
	if len(l.replaced) < maxSymlinks && mayReplaceDirectory(name) {
		l.replaced[name] = true
	}
	if !l.relevant[name] || len(l.soft) >= maxLinks {
		return
	}
	l.soft[name] = target
	for _, root := range l.roots {
		// The path to look for once this link has been followed.
		if rest, ok := strings.CutPrefix(root+"/", name+"/"); ok {
			l.watch(join(path.Dir(name), path.Join(target, rest)))
		}
	}
	l.watch(join(path.Dir(name), target))
}

// linkFarms are directories full of links to files. Nothing writes to it.
var linkFarms = []string{
	"bin/", "sbin/", "usr/bin/", "usr/sbin/", "etc/alternatives/", "etc/ssl/", "etc/pki/", "usr/share/doc/", "usr/share/man/",
	"usr/share/zoneinfo/", "usr/share/icons/", "usr/share/terminfo/", "usr/share/locale/",
}

// mayReplaceDirectory reports whether a symbolic link of this name may be to a
// directory in which packages are found.
func mayReplaceDirectory(name string) bool {
	if strings.Contains(path.Base(name), ".so") || strings.Contains(name, "/.bin/") {
		return false
	}
	return !slices.ContainsFunc(linkFarms, func(dir string) bool { return strings.HasPrefix(name, dir) })
}

// join returns the path to which a link in a directory leads. As in a
// container, ".." at the root is the root.
func join(dir, target string) string {
	if !strings.HasPrefix(target, "/") {
		target = "/" + dir + "/" + target
	}
	return strings.TrimPrefix(path.Clean(target), "/")
}

// resolve follows the links of the layer; ok is false if they lead in a circle
// or to a path that is too long.
func (l *links) resolve(p string) (to string, ok bool) {
	rest, done := p, ""
	for hops := 0; rest != ""; {
		var part string
		part, rest, _ = strings.Cut(rest, "/")
		done = path.Join(done, part)
		target, isLink := l.soft[done]
		if !isLink {
			if hard, isHard := l.hard[done]; isHard && rest == "" {
				target, isLink = "/"+hard, true
			}
		}
		if !isLink {
			continue
		}
		if hops++; hops > maxHops {
			return "", false
		}
		rest = path.Join(join(path.Dir(done), target), rest)
		if done = ""; len(rest) > maxPath {
			return "", false
		}
	}
	return done, true
}

// targets returns the files that the links lead to and that a reader has not
// read under their own name, each with the path at which it is wanted.
func (l *links) targets(s *scanner) map[string]string {
	out := map[string]string{}
	for _, p := range slices.Concat(l.roots, slices.Sorted(maps.Keys(l.hard))) {
		to, ok := l.resolve(p)
		if !ok || to == p || to == "" {
			continue
		}
		r := s.wanted(p, linkMode)
		if r == nil {
			continue
		}
		if got := s.byPath[to]; got != nil && got.reader == r || out[to] != "" {
			continue
		}
		if s.wanted(to, 0o644) == r {
			continue // it is read under its own name, in whichever layer it is
		}
		out[to] = p
	}
	return out
}

// linkMode is the mode by which a link is judged: it has none of its own.
const linkMode = 0o755

// names returns the links to each file that was read.
func (l *links) names(s *scanner) map[string][]string {
	out := map[string][]string{}
	for _, p := range slices.Sorted(maps.Keys(l.hard)) {
		if to, ok := l.resolve(p); ok && to != p && s.byPath[to] != nil {
			out[to] = append(out[to], p)
		}
	}
	return out
}

// missingTargets returns the files that links in some layers lead to and that
// no layer has been searched for, each with the path at which it is wanted.
func missingTargets(layers []*LayerResult) map[string]string {
	found := map[string]bool{}
	for _, l := range layers {
		for _, d := range l.Databases {
			found[d.Path] = true
			for _, n := range d.Names {
				found[n] = true
			}
		}
		for _, f := range l.Files {
			found[f.Path] = true
			for _, n := range f.Names {
				found[n] = true
			}
		}
	}
	missing, hidden := map[string]string{}, newWhiteouts(layers)
	for i, l := range layers {
		for _, link := range l.Links {
			if !found[link.Target] && !hidden.hides(i, link.Path) {
				missing[link.Target] = link.Path
			}
		}
	}
	return missing
}

// completeLinks reads the files that links in one layer lead to in the others
// with scan, and adds their packages to the results. Results are copied before
// they are changed.
func completeLinks(layers []*LayerResult, scan func(i int, aliases map[string]string) (*LayerResult, error)) ([]*LayerResult, error) {
	missing := missingTargets(layers)
	if len(layers) < 2 || len(missing) == 0 {
		return layers, nil
	}
	out := slices.Clone(layers)
	for i := range out {
		more, err := scan(i, missing)
		if err != nil {
			return nil, err
		}
		one := *out[i]
		one.Databases = slices.Concat(one.Databases, more.Databases)
		slices.SortFunc(one.Databases, func(a, b Database) int { return strings.Compare(a.Path, b.Path) })
		one.Files = slices.Concat(one.Files, more.Files)
		if one.Distribution == nil || one.Inferred && more.Distribution != nil && !more.Inferred {
			one.Distribution, one.Inferred = more.Distribution, more.Inferred
		}
		out[i] = &one
	}
	return out, nil
}
