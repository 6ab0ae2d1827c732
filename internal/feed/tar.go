package feed

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
)

// TarReader reads the files of a tar archive. Unlike the standard library's
// reader, it detects an archive that was truncated between two files: without
// the blocks of zeros that end an archive, it is truncated.
type TarReader struct {
	*tar.Reader
	tail *tailReader
}

// tarEnd is the number of zeros at the end of an archive.
const tarEnd = 1024

func NewTarReader(r io.Reader) *TarReader {
	tail := &tailReader{r: r}
	return &TarReader{Reader: tar.NewReader(tail), tail: tail}
}

// Next advances to the next entry. It returns io.EOF only at a true end.
func (t *TarReader) Next() (*tar.Header, error) {
	h, err := t.Reader.Next()
	switch {
	case errors.Is(err, io.EOF) && t.tail.zeros >= tarEnd:
		return nil, io.EOF
	case err != nil:
		return nil, fmt.Errorf("tar archive: %w", UnexpectedEOF(err))
	}
	return h, nil
}

// tailReader counts the zeros at the end of the bytes so far.
type tailReader struct {
	r     io.Reader
	zeros int
}

func (t *tailReader) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	i := n
	for i > 0 && p[i-1] == 0 {
		i--
	}
	if i > 0 {
		t.zeros = 0
	}
	t.zeros = min(t.zeros+n-i, tarEnd)
	return n, err
}
