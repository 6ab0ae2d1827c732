// Oriel is a vulnerability server for one machine: it keeps security feeds up
// to date in one SQLite file and reports which manifests they affect.
package main

import (
	"context"
	"embed"
	"os"
	"os/signal"
	"syscall"

	"oriel/internal/app"
	"oriel/internal/cli"
)

//go:embed schema.sql
var schema string

//go:embed config.example.toml
var exampleConfig string

//go:embed demo
var demo embed.FS

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	assets := app.Assets{Schema: schema, ExampleConfig: exampleConfig, Demo: demo}
	code := cli.Run(ctx, os.Args[1:], os.Stdout, os.Stderr, assets)
	stop()
	os.Exit(code)
}
