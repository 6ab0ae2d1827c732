package lang

import (
	"archive/zip"
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"oriel/clair"
	"oriel/index/reader/readertest"
)

// entry is the name and content of a file in an archive.
type entry [2]string

func makeZip(t testing.TB, files ...entry) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range files {
		o, err := w.Create(f[0])
		require.NoError(t, err)
		_, err = io.WriteString(o, f[1])
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.String()
}

func TestJar_Bombs(t *testing.T) {
	jar := makeZip(t, entry{"META-INF/MANIFEST.MF", ""})
	for range maxJarDepth + 1 {
		jar = makeZip(t, entry{"inner.jar", jar})
	}
	big := makeZip(t, entry{"a.jar", strings.Repeat("\x00", maxNested+1)})
	lies := bytes.Clone([]byte(makeZip(t, entry{"a", ""})))
	end := bytes.LastIndex(lies, []byte("PK\x05\x06"))
	lies[end+10], lies[end+11] = 0xff, 0xff
	for name, b := range map[string]string{"deep": jar, "big": big, "many": string(lies), "cut": jar[:len(jar)-30], "magic": "PK\x03\x04"} {
		_, err := readertest.Read(t, javaReader(), "x.jar", []byte(b))
		require.ErrorIs(t, err, clair.ErrInvalid, name)
	}
}
