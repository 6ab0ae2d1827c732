package index

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
)

// testImage is an image of a layout made by a test: one npm package.
type testImage struct {
	name, pkg, arch string
	// manifest is false if only the index names the image, and layer false
	// if the archive has no layer of it.
	manifest, layer bool
	kind            string
}

// layoutOf makes the files of an OCI layout with these images, in an index of
// their own if nested is true.
func layoutOf(t testing.TB, nested bool, images ...testImage) []entry {
	t.Helper()
	out := []entry{file("oci-layout", `{"imageLayoutVersion":"1.0.0"}`)}
	blob := func(v any, keep bool) clair.Digest {
		b, err := json.Marshal(v)
		require.NoError(t, err)
		if keep {
			out = append(out, file(blobName(digest(b)), string(b)))
		}
		return digest(b)
	}
	var list []map[string]any
	for _, image := range images {
		layer := makeTar(t, file("app/node_modules/x/package.json", fmt.Sprintf(`{"name":%q,"version":"1.0.0"}`, image.pkg)))
		layers := []map[string]any{}
		if image.pkg != "" {
			kind := "application/vnd.oci.image.layer.v1.tar"
			if image.kind != "" {
				kind = image.kind
			}
			layers = append(layers, map[string]any{"mediaType": kind, "digest": digest(layer)})
			if image.layer {
				out = append(out, file(blobName(digest(layer)), string(layer)))
			}
		}
		config := blob(map[string]any{"architecture": image.arch, "os": "linux", "n": image.name}, image.manifest)
		manifest := map[string]any{"layers": layers, "config": map[string]any{"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config}}
		d := map[string]any{"digest": blob(manifest, image.manifest), "platform": map[string]string{"os": "linux", "architecture": image.arch}}
		if image.name != "" {
			d["annotations"] = map[string]string{"org.opencontainers.image.ref.name": image.name}
		}
		list = append(list, d)
	}
	index := map[string]any{"manifests": list}
	if nested {
		index = map[string]any{"manifests": []map[string]any{{"digest": blob(index, true)}}}
	}
	b, err := json.Marshal(index)
	require.NoError(t, err)
	return append(out, file("index.json", string(b)))
}

func TestReadInput_ChoosesTheImage(t *testing.T) {
	here, other := runtime.GOARCH, "s390x"
	image := func(name, pkg, arch string) testImage { return testImage{name, pkg, arch, true, true, ""} }
	for _, c := range []struct {
		name   string
		images []testImage
		o      InputOptions
		want   string
		err    string
	}{
		{"one", []testImage{image("", "a", here)}, InputOptions{}, "a", ""},
		{"one_of_another_platform", []testImage{image("", "a", other)}, InputOptions{}, "a", ""},
		{"two_names_of_one", []testImage{image("x:1", "a", here), image("x:1", "a", here)}, InputOptions{}, "a", ""},
		{"two", []testImage{image("x:1", "a", here), image("y:1", "b", here)}, InputOptions{}, "", "holds 2 images: x:1 (linux/" + here + "), y:1 (linux/" + here + "); choose one with --image NAME"},
		{"two_by_name", []testImage{image("docker.io/library/x:1", "a", here), image("y:latest", "b", here)}, InputOptions{Image: "x:1"}, "a", ""},
		{"two_by_name_without_tag", []testImage{image("x:1", "a", here), image("y:latest", "b", here)}, InputOptions{Image: "docker.io/y"}, "b", ""},
		{"two_by_other_name", []testImage{image("x:1", "a", here), image("y:1", "b", here)}, InputOptions{Image: "z:1"}, "", `no image "z:1", but x:1`},
		{"platform_of_this_machine", []testImage{image("x:1", "a", other), image("x:1", "b", here)}, InputOptions{}, "b", ""},
		{"platform_by_option", []testImage{image("x:1", "a", other), image("x:1", "b", here)}, InputOptions{Platform: "linux/" + other}, "a", ""},
		{"platform_by_architecture", []testImage{image("x:1", "a", other), image("x:1", "b", here)}, InputOptions{Platform: other}, "a", ""},
		{"platform_that_is_missing", []testImage{image("x:1", "a", here)}, InputOptions{Platform: "linux/riscv64"}, "", "no image for linux/riscv64, but x:1"},
		{"platform_that_is_none", []testImage{image("x:1", "a", here)}, InputOptions{Platform: "a/b/c/d"}, "", "not OS/ARCHITECTURE"},
		{"platforms_of_other_machines", []testImage{image("x:1", "a", other), image("x:1", "b", "ppc64le")}, InputOptions{}, "", "choose one with --platform"},
		{"listed_and_not_there", []testImage{{"x:1", "a", here, false, false, ""}, image("x:1", "b", other)}, InputOptions{}, "b", ""},
		{"manifest_without_layers", []testImage{{"x:1", "a", here, true, false, ""}, image("x:1", "b", other)}, InputOptions{}, "b", ""},
		{"nothing_there", []testImage{{"x:1", "a", here, false, false, ""}}, InputOptions{}, "", "no file"},
		{"layer_missing", []testImage{{"x:1", "a", here, true, false, ""}}, InputOptions{}, "", "no file"},
		{"signature", []testImage{image("x:1", "a", here), {"x.sig", "s", here, true, true, "application/vnd.dev.cosign.simplesigning.v1+json"}}, InputOptions{}, "a", ""},
		{"attestation", []testImage{{"", "s", "unknown", true, true, "application/vnd.in-toto+json"}}, InputOptions{}, "", "holds no image"},
		{"empty", []testImage{image("x:1", "", here)}, InputOptions{}, "", ""},
	} {
		for _, nested := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s_nested_%v", c.name, nested), func(t *testing.T) {
				in, err := ReadInput(t.Context(), write(t, "x", makeTar(t, layoutOf(t, nested, c.images...)...)), c.o)
				if c.err != "" {
					require.ErrorIs(t, err, clair.ErrInvalid)
					require.ErrorContains(t, err, c.err)
					return
				}
				require.NoError(t, err)
				checkReport(t, in.Report)
				if c.want == "" {
					require.Empty(t, in.Report.Packages)
					return
				}
				require.Equal(t, []string{c.want + " 1.0.0"}, names(in.Report))
			})
		}
	}
}

func TestReadInput_DockerSave(t *testing.T) {
	layer := makeTar(t, file("app/node_modules/x/package.json", `{"name":"x","version":"1.0.0"}`))
	config := func(n int) string {
		return fmt.Sprintf(`{"architecture":%q,"os":"linux","n":%d,"rootfs":{"diff_ids":[%q]}}`, runtime.GOARCH, n, digest(layer))
	}
	two := []entry{
		file("manifest.json", `[{"Config":"a.json","RepoTags":["a:1","a:2"],"Layers":["l/layer.tar"]},{"Config":"b.json","RepoTags":["b:1"],"Layers":["l/layer.tar"]}]`),
		file("a.json", config(1)), file("b.json", config(2)), file("l/layer.tar", string(layer)),
	}
	unpacked := t.TempDir()
	for _, e := range two {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(unpacked, e.name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(unpacked, e.name), []byte(e.body), 0o644))
	}
	empty := write(t, "e", makeTar(t, file("manifest.json", `[{"Config":"a.json","Layers":null}]`), file("a.json", `{"rootfs":{"type":"layers"}}`)))
	packed := write(t, "x", makeTar(t, two...))
	for _, c := range []struct {
		name, input string
		o           InputOptions
		packages    int
		err         string
	}{
		{"two", packed, InputOptions{}, 0, "holds 2 images: a:1 = a:2"},
		{"by_name", packed, InputOptions{Image: "a:2"}, 1, ""},
		{"by_digest", packed, InputOptions{Image: string(digest([]byte(config(2))))}, 1, ""},
		{"folder", unpacked, InputOptions{Image: "b:1"}, 1, ""},
		{"folder_of_two", unpacked, InputOptions{}, 0, "holds 2 images"},
		{"empty_image", empty, InputOptions{}, 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			in, err := ReadInput(t.Context(), c.input, c.o)
			if c.err != "" {
				require.ErrorContains(t, err, c.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, "docker image", in.Kind)
			require.Len(t, in.Report.Packages, c.packages)
		})
	}
}

// TestReadInput_IndexInCircles reads an index that names itself, under a
// digest that is not checked.
func TestReadInput_IndexInCircles(t *testing.T) {
	d := clair.Digest("sha512:" + strings.Repeat("aa", 64))
	self := `{"manifests":[{"digest":"` + string(d) + `"}]}`
	_, err := ReadInput(t.Context(), write(t, "x", makeTar(t, file("oci-layout", "{}"), file("index.json", self), file(blobName(d), self))), InputOptions{})
	require.ErrorIs(t, err, clair.ErrInvalid)
	require.ErrorContains(t, err, "lead to each other")
}
