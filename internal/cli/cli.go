// Package cli is the command line: one file for each command, and what
// commands share, such as the progress bar and output that is written whole.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"oriel/internal/app"
	"oriel/server"
)

// The exit codes of a run that failed, of wrong usage or configuration, and of
// a report that fails a gate of --fail-on.
const (
	exitFailed = 1
	exitUsage  = 2
	exitGate   = 3
)

// usageError is an error in the command line or the configuration.
type usageError struct{ error }

// Unwrap returns the error itself.
func (e usageError) Unwrap() error { return e.error }

// Run runs one command and returns its exit code.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer, assets app.Assets) int {
	o := &oriel{
		stdout: stdout,
		stderr: stderr,
		assets: assets,
	}
	root := o.command()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	if gate, ok := errors.AsType[gateError](err); ok {
		fmt.Fprintln(stderr, gate)
		return exitGate
	}
	fmt.Fprintln(stderr, "oriel:", err)
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	return exitFailed
}

// oriel is what all commands share.
type oriel struct {
	stdout, stderr io.Writer
	assets         app.Assets
	configFile     string
}

// Command returns the tree of commands, from which manual pages and completions
// are generated.
func Command(assets app.Assets) *cobra.Command {
	return (&oriel{
		stdout: io.Discard,
		stderr: io.Discard,
		assets: assets,
	}).command()
}

func (o *oriel) command() *cobra.Command {
	root := &cobra.Command{
		Use:           "oriel",
		Short:         "A vulnerability server for one machine",
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       app.Build(),
	}
	root.PersistentFlags().StringVarP(&o.configFile, "config", "c", "", `configuration file (default "oriel.toml" if there is one)`)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(o.serveCommand(), o.updateCommand(), o.exportCommand(), o.importCommand(), o.reportCommand(), o.scanCommand(), o.statusCommand(),
		o.notificationsCommand(), o.changesCommand(), o.backupCommand(), o.vacuumCommand(), o.checkCommand(), &cobra.Command{
			Use:   "version",
			Short: "Print the version and what it was built from",
			Args:  usage(cobra.NoArgs),
			Run:   func(*cobra.Command, []string) { fmt.Fprintln(o.stdout, app.Build()) },
		})
	return root
}

// usage makes the errors of a check of arguments usage errors.
func usage(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageError{err}
		}
		return nil
	}
}

// config loads the configuration that the flags name, and the log it asks for.
func (o *oriel) config() (*app.Config, *slog.Logger, error) {
	cfg, err := app.Load(o.configFile, os.Environ(), o.assets)
	if err != nil {
		return nil, nil, usageError{err}
	}
	opts := &slog.HandlerOptions{Level: cfg.Log.Level}
	if cfg.Log.Format == "json" {
		return cfg, slog.New(server.LogHandler(slog.NewJSONHandler(o.stderr, opts))), nil
	}
	return cfg, slog.New(server.LogHandler(slog.NewTextHandler(o.stderr, opts))), nil
}
