package index

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"oriel/clair"
)

// candidate is one image of an archive or a directory.
type candidate struct {
	// hash is the digest by which the image is known: of its manifest, or of
	// its configuration in the older of Docker's forms.
	hash clair.Digest
	// config is the digest of its configuration, "" if it is unknown.
	config   clair.Digest
	names    []string
	platform platform
	layers   []layerPart
	// missing is the first part that is not in the archive, "" if the image is
	// whole.
	missing string
}

// platform is an operating system and architecture, in Go's words.
type platform struct {
	OS           string `json:"os"`
	Architecture string `json:"architecture"`
	Variant      string `json:"variant"`
}

// String returns the form OS/ARCHITECTURE[/VARIANT].
func (p platform) String() string {
	return strings.TrimSuffix(p.OS+"/"+p.Architecture+"/"+p.Variant, "/")
}

// parsePlatform reads OS/ARCHITECTURE[/VARIANT] or an architecture alone.
func parsePlatform(text string) (platform, error) {
	part := strings.Split(strings.ToLower(text), "/")
	var p platform
	switch len(part) {
	case 1:
		p.Architecture = part[0]
	case 2:
		p.OS, p.Architecture = part[0], part[1]
	case 3:
		p.OS, p.Architecture, p.Variant = part[0], part[1], part[2]
	}
	if p.Architecture == "" {
		return p, clair.Invalid("platform", "%.60q is not OS/ARCHITECTURE[/VARIANT], such as linux/arm64", text)
	}
	switch p.Architecture {
	case "x86_64":
		p.Architecture = "amd64"
	case "aarch64":
		p.Architecture = "arm64"
	}
	return p, nil
}

// accepts reports whether p, which may be partial, describes the platform o.
func (p platform) accepts(o platform) bool {
	return p.Architecture == o.Architecture && (p.OS == "" || p.OS == o.OS) && (p.Variant == "" || p.Variant == o.Variant)
}

// chooseImage returns the image that the options select, or the only one. Of
// several platforms, that of this machine is preferred. The error is an
// ErrInvalid that lists the images if it is not clear which one is meant.
func chooseImage(list []candidate, o InputOptions) (candidate, error) {
	list = mergeCandidates(list)
	if len(list) == 0 {
		return candidate{}, clair.Invalid("image", "the archive holds no image, only attestations, signatures or other artifacts")
	}
	if o.Image != "" {
		named := slices.DeleteFunc(slices.Clone(list), func(c candidate) bool { return !c.isNamed(o.Image) })
		if len(named) == 0 {
			return candidate{}, clair.Invalid("image", "the archive holds no image %.200q, but %s", o.Image, describe(list))
		}
		list = named
	}
	if o.Platform != "" {
		want, err := parsePlatform(o.Platform)
		if err != nil {
			return candidate{}, err
		}
		fitting := slices.DeleteFunc(slices.Clone(list), func(c candidate) bool { return !want.accepts(c.platform) })
		if len(fitting) == 0 {
			return candidate{}, clair.Invalid("platform", "the archive holds no image for %s, but %s", o.Platform, describe(list))
		}
		list = fitting
	}
	list = prefer(list, func(c candidate) bool { return c.missing == "" })
	list = prefer(list, func(c candidate) bool { return platform{OS: "linux", Architecture: runtime.GOARCH}.accepts(c.platform) })
	switch {
	case len(list) == 1 && list[0].missing != "":
		return candidate{}, clair.Invalid("image", "it has no file %.200q", list[0].missing)
	case len(list) == 1:
		return list[0], nil
	}
	flag := "image NAME"
	if slices.ContainsFunc(list, func(c candidate) bool { return c.platform != list[0].platform }) {
		flag = "platform OS/ARCHITECTURE"
	}
	return candidate{}, clair.Invalid("image", "the archive holds %d images: %s; choose one with --%s", len(list), describe(list), flag)
}

// prefer returns the images that a test holds for, or all if there are none.
func prefer(list []candidate, test func(candidate) bool) []candidate {
	var out []candidate
	for _, c := range list {
		if test(c) {
			out = append(out, c)
		}
	}
	if len(out) == 0 {
		return list
	}
	return out
}

// mergeCandidates makes one candidate of those with the same content.
func mergeCandidates(list []candidate) []candidate {
	var out []candidate
	for _, c := range list {
		if i := slices.IndexFunc(out, func(o candidate) bool { return o.hash == c.hash }); i >= 0 {
			out[i].names = append(out[i].names, c.names...)
			continue
		}
		out = append(out, c)
	}
	for i := range out {
		slices.Sort(out[i].names)
		out[i].names = slices.Compact(out[i].names)
	}
	return out
}

// describe lists images by their names and platforms.
func describe(list []candidate) string {
	const most = 20
	var out []string
	for i, c := range list {
		if i == most {
			out = append(out, fmt.Sprintf("and %d more", len(list)-most))
			break
		}
		text := cmp.Or(strings.Join(c.names, " = "), string(c.hash))
		if c.platform.Architecture != "" {
			text += " (" + c.platform.String() + ")"
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

// isNamed reports whether an image has a name, in full or as Docker shortens
// it, or a digest.
func (c candidate) isNamed(name string) bool {
	if name == string(c.hash) || name == string(c.config) {
		return true
	}
	return slices.ContainsFunc(c.names, func(n string) bool { return n == name || fullName(n) == fullName(name) })
}

// fullName returns a reference with Docker's defaults for its missing parts.
func fullName(name string) string {
	name = strings.TrimPrefix(strings.TrimPrefix(name, "index.docker.io/"), "docker.io/")
	name = strings.TrimPrefix(name, "library/")
	if i := strings.LastIndexByte(name, '/'); !strings.Contains(name[i+1:], ":") && !strings.Contains(name, "@") {
		name += ":latest"
	}
	return name
}

// read scans the layers of an image.
func (c candidate) read(ctx context.Context, kind string, from files, o InputOptions) (*Input, error) {
	l := layerParts{from: from, parts: c.layers, tempDir: o.TempDir}
	layers, err := l.scan(ctx)
	if err != nil {
		return nil, err
	}
	return inputOf(kind, c.hash, layers, o)
}
