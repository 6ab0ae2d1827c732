package app

import (
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDescribeBuild(t *testing.T) {
	info := &debug.BuildInfo{GoVersion: "go1.26.8", Settings: []debug.BuildSetting{{Key: "GOOS", Value: "linux"}, {Key: "GOARCH", Value: "arm64"}}}
	require.Equal(t, "commit unknown, go1.26.8, linux/arm64", describeBuild(info))
	info.Settings = append(info.Settings, debug.BuildSetting{Key: "vcs.revision", Value: "8600bac8"}, debug.BuildSetting{Key: "vcs.time", Value: "2026-11-25T07:40:17Z"},
		debug.BuildSetting{Key: "vcs.modified", Value: "true"})
	require.Equal(t, "commit 8600bac8, modified, 2026-11-25T07:40:17Z, go1.26.8, linux/arm64", describeBuild(info))
}
