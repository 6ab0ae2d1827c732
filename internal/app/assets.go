package app

import "io/fs"

// Assets are the files that are compiled into the program.
type Assets struct {
	// Schema is schema.sql, the schema of new databases.
	Schema string
	// ExampleConfig is config.example.toml, the configuration that applies if
	// there is no file.
	ExampleConfig string
	// Demo holds the folder "demo" with the demonstration's sample data.
	Demo fs.FS
}
