package main

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
	code, out, _ := runOriel(t, "--version")
	require.Zero(t, code)
	require.Contains(t, out, build())
}

// A shell is offered the commands and the names of feeds.
func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		code, out, _ := runOriel(t, "completion", shell)
		require.Zero(t, code)
		require.Contains(t, out, "oriel", shell)
	}
	config, _ := writeConfig(t, "osv/Go", "x.zip")
	_, out, _ := runOriel(t, "__complete", "update", "-c", config, "")
	require.Contains(t, out, "osv/Go\n")
	_, out, _ = runOriel(t, "__complete", "")
	require.Contains(t, out, "backup\t")
}
