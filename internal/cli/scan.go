package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"oriel/clair"
	"oriel/index"
	"oriel/internal/app"
	"oriel/internal/client"
	"oriel/internal/render"
	"oriel/scanner"
)

// scanFlags are the flags of scan.
type scanFlags struct {
	reportFlags
	serverFlags
	root   string
	giveUp time.Duration
}

func (o *oriel) scanCommand() *cobra.Command {
	var f scanFlags
	cmd := &cobra.Command{
		Use:   "scan [INPUT]",
		Short: "Match this host, or an input, with the lists of a running server",
		Long: `Match this host, or an input as "oriel report" takes them, with the lists of a running server. The lists are
read through the server's window and matched here: what the host holds does not leave it. It needs no database and
no configuration. The token is read from --token-file, or else from the variable ` + app.TokenVariable + `. With --fail-on
the exit code is 3 where it holds.`,
		Args: usage(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := f.root
			if len(args) == 1 {
				name = args[0]
			}
			return o.scan(cmd.Context(), name, f)
		},
	}
	flags := cmd.Flags()
	f.register(flags)
	flags.StringVar(&f.root, "root", "/", "the root directory of the host")
	f.add(flags, "http://127.0.0.1:6060", "address of the server")
	flags.DurationVar(&f.giveUp, "give-up", 5*time.Minute, "how long the server may be away or too busy")
	return cmd
}

// scan scans one input and writes what it found.
func (o *oriel) scan(ctx context.Context, name string, f scanFlags) error {
	format, filter, failOn, in, err := f.parse()
	if err != nil {
		return usageError{err}
	}
	if word := strings.ToLower(strings.TrimSpace(f.failOn)); word == "kev" || strings.HasPrefix(word, "epss") {
		return usageError{clair.Invalid("fail-on", "%s goes by enrichments, which a scan does not read; \"oriel report\" does", f.failOn)}
	}
	c, err := newClient(client.Options{URL: f.server, Proxy: true}, f.serverFlags)
	if err != nil {
		return err
	}
	defer c.Close()
	bars := newProgress(o.stderr)
	s := scanner.New(scanner.Options{Server: c, GiveUp: f.giveUp, Progress: showLists(bars)})
	input, err := index.ReadInput(ctx, name, in)
	if err != nil {
		return err
	}
	res, err := s.Scan(ctx, input.Report)
	bars.clear()
	if err != nil {
		return err
	}
	made := render.New(scanModel(name, input, res), filter)
	if err := o.write(format, made, f.reportFlags); err != nil {
		return err
	}
	if holds, reason := failOn.Eval(made); holds {
		return foundError{reason}
	}
	return nil
}

// scanModel says in render's words what a scan came to, and what it lacks.
func scanModel(name string, input *index.Input, res *scanner.Result) render.Input {
	rep := renderInput(res.Result)
	rep.Name = name
	for _, u := range input.Report.Unmatched {
		rep.Unmatched = append(rep.Unmatched, render.Unmatched{Name: u.Package, Version: u.Version, Reason: u.Reason})
	}
	for _, p := range res.Unknown {
		rep.Partial = append(rep.Partial, "the server has no vulnerabilities for "+p)
	}
	rep.Partial = append(rep.Partial, "a scan has no enrichments (CVSS, EPSS, KEV)")
	return rep
}

// showLists draws how far the lists have been read.
func showLists(p *progress) func(scanner.Progress) {
	return func(l scanner.Progress) {
		item := progressItem{done: l.Done}
		switch {
		case l.Position > 0:
			item.text = fmt.Sprintf("place %d in the queue", l.Position)
		case l.Total <= 0:
			item.text = fmt.Sprintf("%d rows", l.Rows)
		default:
			item.text = fmt.Sprintf("%s %d of %d", bar(int64(l.Rows), int64(l.Total)), l.Rows, l.Total)
		}
		p.show(l.Platform, item)
	}
}
