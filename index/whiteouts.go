package index

import "path"

// whiteouts is the topmost layer that hides each path.
type whiteouts struct {
	// files are hidden or replaced alone, trees with everything below them;
	// opaque hides only what is below the directory.
	files, trees, opaque map[string]int
}

func newWhiteouts(layers []*LayerResult) *whiteouts {
	w := &whiteouts{files: map[string]int{}, trees: map[string]int{}, opaque: map[string]int{}}
	set := func(m map[string]int, i int, paths ...string) {
		for _, p := range paths {
			m[p] = i
		}
	}
	for i, l := range layers {
		for _, d := range l.Databases {
			set(w.files, i, d.Path)
			set(w.files, i, d.Names...)
		}
		for _, f := range l.Files {
			set(w.files, i, f.Path)
			set(w.files, i, f.Names...)
		}
		set(w.files, i, l.Replaced...)
		set(w.trees, i, l.Whiteouts...)
		// A link in place of a directory hides everything in it.
		set(w.trees, i, l.Symlinks...)
		set(w.opaque, i, l.Opaque...)
	}
	return w
}

// hides reports whether a layer above this one hides a file. A layer's
// whiteouts never hide what the layer itself has.
func (w *whiteouts) hides(layer int, file string) bool {
	if w.files[file] > layer || w.trees[file] > layer {
		return true
	}
	for dir := path.Dir(file); ; dir = path.Dir(dir) {
		if dir == "." {
			return w.opaque[""] > layer
		}
		if w.trees[dir] > layer || w.opaque[dir] > layer {
			return true
		}
	}
}

// visible returns the first name of a file that no layer above hides, "" if
// there is none.
func (w *whiteouts) visible(layer int, file string, names []string) string {
	if !w.hides(layer, file) {
		return file
	}
	for _, n := range names {
		if !w.hides(layer, n) {
			return n
		}
	}
	return ""
}

// deleted reports whether a layer above this one hides a file, and neither it
// nor a layer above it has another file of that name.
func (w *whiteouts) deleted(layer int, file string) bool {
	return w.hides(layer, file) && w.files[file] <= layer
}
