package sbom

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFormatOf(t *testing.T) {
	for contentType, want := range map[string]bool{
		"application/vnd.cyclonedx+json; version=1.5": true,
		"application/vnd.cyclonedx+xml":               true,
		"application/spdx+json":                       true,
		"text/spdx; charset=utf-8":                    true,
		"":                                            false,
		"application/json":                            false,
		"text/plain":                                  false,
		"application/vnd.cyclonedx":                   false,
		";;":                                          false,
	} {
		t.Run(contentType, func(t *testing.T) {
			_, ok := FormatOf(contentType)
			require.Equal(t, want, ok)
		})
	}
}
