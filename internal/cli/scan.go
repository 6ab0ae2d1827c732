package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"oriel/clair"
	"oriel/index"
	"oriel/internal/app"
	"oriel/internal/client"
	"oriel/internal/distro"
	"oriel/internal/render"
	"oriel/match"
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
		Short: "Report the vulnerabilities of this host or an input, using the lists of a server",
		Long: `Report the vulnerabilities of this host, or of an input as for "oriel report", using the lists of a running
server. The lists are read through the server's window and matched locally, so the contents of the host never
leave it. Neither a database nor a configuration is needed. The token is read from --token-file, or from the
variable ` + app.TokenVariable + `.

With --fail-on the exit code is 3 if a finding meets one of its conditions, or if packages are not covered by
any feed.`,
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
	flags.DurationVar(&f.giveUp, "give-up", 5*time.Minute, "how long the server may be unreachable or too busy")
	return cmd
}

// scan scans one input and writes what it found.
func (o *oriel) scan(ctx context.Context, name string, f scanFlags) error {
	format, filter, in, err := f.parse()
	if err != nil {
		return usageError{err}
	}
	gates, err := f.gates(nil)
	if err != nil {
		return usageError{err}
	}
	if needs := gates.Enrichers(); len(needs) > 0 {
		return usageError{clair.Invalid("fail-on", "%s needs data that a scan does not have (%s); use \"oriel report\"", f.failOn, strings.Join(needs, ", "))}
	}
	c, err := newClient(client.Options{URL: f.server, Proxy: true}, f.serverFlags)
	if err != nil {
		return err
	}
	defer c.Close()
	bars := newProgress(o.stderr)
	s := scanner.New(scanner.Options{
		Server:   c,
		GiveUp:   f.giveUp,
		Progress: showLists(bars),
	})
	input, err := index.ReadInput(ctx, name, in)
	if err != nil {
		return err
	}
	res, err := s.Scan(ctx, input.Report)
	bars.clear()
	if err != nil {
		return err
	}
	rep := scanModel(name, input, res)
	rep.Gates = gates
	made := render.New(rep, filter)
	if err := o.write(format, made, f.reportFlags); err != nil {
		return err
	}
	return gateErrorOf(made)
}

// scanModel returns the model of the result of a scan.
func scanModel(name string, input *index.Input, res *scanner.Result) render.Input {
	rep := renderInput(res.Result)
	rep.Name = name
	rep.Unmatched = append(slices.Clip(input.Report.Unmatched), match.UbuntuStreams(input.Report)...)
	rep.Coverage = scanCoverage(input.Report, res.Unknown, rep.Now)
	rep.NeverFetched = []string{"cvss", "epss", "kev"}
	rep.Partial = append(rep.Partial, "a scan has no enrichments (CVSS, EPSS, KEV)")
	return rep
}

// scanCoverage returns the places of an index report: those whose lists the
// server has are covered.
func scanCoverage(index *clair.IndexReport, unknown []scanner.Unknown, now time.Time) *clair.Coverage {
	c := &clair.Coverage{Manifest: index.Hash, Places: match.Places(index)}
	for i := range c.Places {
		p := &c.Places[i]
		if p.Reason != "" {
			continue
		}
		if r, ok := distro.ReleaseByName(p.Platform()); ok {
			p.Ended = clair.Date(r.Ended(now))
		}
		u := slices.IndexFunc(unknown, func(u scanner.Unknown) bool { return u.Platform == p.Platform() })
		if u >= 0 {
			p.Reason = cmp.Or(unknown[u].Reason, clair.NoFeed)
			p.Hint = cmp.Or(unknown[u].Hint, "The server has no advisories for it.")
			continue
		}
		p.Covered = true
	}
	return c
}

// showLists draws the progress of reading lists.
func showLists(p *progress) func(scanner.Progress) {
	return func(l scanner.Progress) {
		item := progressItem{done: l.Done}
		switch {
		case l.Position > 0:
			item.text = fmt.Sprintf("position %d in the queue", l.Position)
		case l.Total <= 0:
			item.text = fmt.Sprintf("%d rows", l.Rows)
		default:
			item.text = fmt.Sprintf("%s %d of %d", bar(int64(l.Rows), int64(l.Total)), l.Rows, l.Total)
		}
		p.show(l.Platform, item)
	}
}
