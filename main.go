// Oriel is a vulnerability server for one machine: it keeps security feeds up
// to date in one SQLite file and tells which manifests they affect.
package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"oriel/server"
)

//go:embed schema.sql
var schema string

//go:embed config.example.toml
var exampleConfig string

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// The exit codes: a run that failed, one that was asked for wrongly, and a
// report that holds what it was to fail on.
const (
	exitFailed = 1
	exitUsage  = 2
	exitFound  = 3
)

// usageError is an error in what was typed.
type usageError struct{ error }

// run runs one command and returns its exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o := &oriel{stdout: stdout, stderr: stderr}
	root := o.command()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintln(stderr, "oriel:", err)
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	if _, ok := errors.AsType[foundError](err); ok {
		return exitFound
	}
	return exitFailed
}

// oriel is what the commands have in common.
type oriel struct {
	stdout, stderr io.Writer
	configFile     string
}

func (o *oriel) command() *cobra.Command {
	root := &cobra.Command{
		Use: "oriel", Short: "A vulnerability server for one machine",
		SilenceUsage: true, SilenceErrors: true, Version: build(),
	}
	root.PersistentFlags().StringVarP(&o.configFile, "config", "c", "", `configuration file (default "oriel.toml" if there is one)`)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(o.serveCommand(), o.updateCommand(), o.exportCommand(), o.importCommand(), o.reportCommand(), o.scanCommand(), o.statusCommand(),
		o.notificationsCommand(), o.changesCommand(), o.backupCommand(), o.vacuumCommand(), o.checkCommand(), &cobra.Command{
			Use: "version", Short: "Print the version and what it was built from", Args: noArgs,
			Run: func(*cobra.Command, []string) { fmt.Fprintln(o.stdout, build()) },
		})
	return root
}

// noArgs refuses arguments.
func noArgs(cmd *cobra.Command, args []string) error {
	if err := cobra.NoArgs(cmd, args); err != nil {
		return usageError{err}
	}
	return nil
}

// config loads the configuration that the flags name, and the log it asks for.
func (o *oriel) config() (*Config, *slog.Logger, error) {
	cfg, err := loadConfig(o.configFile, os.Environ())
	if err != nil {
		return nil, nil, usageError{err}
	}
	opts := &slog.HandlerOptions{Level: cfg.Log.Level}
	if cfg.Log.Format == "json" {
		return cfg, slog.New(server.LogHandler(slog.NewJSONHandler(o.stderr, opts))), nil
	}
	return cfg, slog.New(server.LogHandler(slog.NewTextHandler(o.stderr, opts))), nil
}
