package cli

import (
	"os"
	"path/filepath"
	"runtime"

	"oriel/internal/app"
)

// assets are the files that the program embeds, read from the repository. It
// panics if they are missing, since TestMain needs them before any test.
func assets() app.Assets {
	read := func(name string) string {
		text, err := os.ReadFile(repository() + name)
		if err != nil {
			panic(err)
		}
		return string(text)
	}
	return app.Assets{
		Schema: read("schema.sql"), ExampleConfig: read("config.example.toml"), Demo: os.DirFS(repository()),
	}
}

// repository is the root of the repository, wherever the program runs.
func repository() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..") + string(filepath.Separator)
}
