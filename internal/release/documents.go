package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra/doc"

	"oriel/internal/app"
	"oriel/internal/cli"
)

// writeDocuments writes the manual pages and the shell completions that come
// with each archive.
func writeDocuments(dir string, made time.Time) ([]member, error) {
	man, completions := filepath.Join(dir, "man"), filepath.Join(dir, "completions")
	for _, d := range []string{man, completions} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, err
		}
	}
	root := cli.Command(app.Assets{})
	header := &doc.GenManHeader{Section: "1", Date: &made, Source: "Oriel", Manual: "Oriel"}
	if err := doc.GenManTree(root, header, man); err != nil {
		return nil, fmt.Errorf("write the manual pages: %w", err)
	}
	for name, write := range map[string]func(string) error{
		"oriel.bash": func(file string) error { return root.GenBashCompletionFileV2(file, true) },
		"oriel.zsh":  root.GenZshCompletionFile,
		"oriel.fish": func(file string) error { return root.GenFishCompletionFile(file, true) },
		"oriel.ps1":  root.GenPowerShellCompletionFileWithDesc,
	} {
		if err := write(filepath.Join(completions, name)); err != nil {
			return nil, fmt.Errorf("write the completion %s: %w", name, err)
		}
	}
	var members []member
	for _, folder := range []string{"man", "completions"} {
		entries, err := os.ReadDir(filepath.Join(dir, folder))
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			members = append(members, member{name: folder + "/" + e.Name(), file: filepath.Join(dir, folder, e.Name()), mode: 0o644})
		}
	}
	return members, nil
}
