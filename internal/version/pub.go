package version

import (
	"strings"

	"github.com/google/osv-scalibr/semantic"
)

// A pubVersion is a version as Dart's pub_semver orders it: by semantic
// versioning, but build metadata comes after the same version without it, and
// identifiers of digits in it compare as numbers. The library compares build
// metadata as text, so that 1.0.0+10 would come before 1.0.0+2.
type pubVersion struct {
	release semantic.Version // without build metadata
	build   semantic.Version // as a pre-release of 0.0.0, or nil
}

func parsePub(s string) (semantic.Version, error) {
	release, build, ok := strings.Cut(s, "+")
	parsed, err := always(semantic.ParsePubVersion)(release)
	if err != nil {
		return nil, err
	}
	v := pubVersion{release: parsed}
	if ok {
		v.build = semantic.ParseSemverVersion("0.0.0-" + build)
	}
	return v, nil
}

// Compare compares v with another pubVersion.
func (v pubVersion) Compare(other semantic.Version) (int, error) {
	w, ok := other.(pubVersion)
	if !ok {
		return 0, semantic.ErrNotSameEcosystem
	}
	if order, err := v.release.Compare(w.release); err != nil || order != 0 {
		return order, err
	}
	switch {
	case v.build == nil && w.build == nil:
		return 0, nil
	case v.build == nil:
		return -1, nil
	case w.build == nil:
		return +1, nil
	}
	return v.build.Compare(w.build)
}

// CompareStr compares v with a version that is still text.
func (v pubVersion) CompareStr(s string) (int, error) {
	w, err := parsePub(s)
	if err != nil {
		return 0, err
	}
	return v.Compare(w)
}
