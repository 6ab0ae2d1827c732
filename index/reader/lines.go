package reader

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"oriel/clair"
)

// maxLine is the longest line that is read from any of the text formats; apk
// and dpkg have lines of some ten kilobytes.
const maxLine = 1 << 20

// Lines calls each with the lines of a text in any of Unicode's encodings,
// without their line ends.
func Lines(r io.Reader, each func(line string) error) error {
	s := bufio.NewScanner(UTF8Reader(r))
	s.Buffer(make([]byte, 0, 8<<10), maxLine)
	for s.Scan() {
		if err := each(strings.TrimSuffix(s.Text(), "\r")); err != nil {
			return err
		}
	}
	if err := s.Err(); err != nil {
		return fmt.Errorf("%w: %w", clair.ErrInvalid, err)
	}
	return nil
}
