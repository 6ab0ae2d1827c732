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
	for i, l := range layers {
		for _, d := range l.Databases {
			w.files[d.Path] = i
		}
		for _, f := range l.Files {
			w.files[f.Path] = i
		}
		for _, p := range l.Replaced {
			w.files[p] = i
		}
		for _, p := range l.Whiteouts {
			w.trees[p] = i
		}
		for _, p := range l.Opaque {
			w.opaque[p] = i
		}
	}
	return w
}

// hide reports whether a layer above this one hides a file. A layer's
// whiteouts never hide what the layer itself has.
func (w *whiteouts) hide(layer int, file string) bool {
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
