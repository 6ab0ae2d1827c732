package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"oriel/clair"
	"oriel/index"
	"oriel/internal/render"
	"oriel/scanner"
	"oriel/store"
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
no configuration. The token is read from --token-file, or else from the variable ` + tokenVariable + `. With --fail-on
the exit code is 3 where it holds.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if err := cobra.MaximumNArgs(1)(cmd, args); err != nil {
				return usageError{err}
			}
			return nil
		},
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
	client, err := f.client()
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	token, err := f.token()
	if err != nil {
		return err
	}
	bars := newScanBars(o.stderr)
	s, err := scanner.New(scanner.Options{
		Server: f.server, Token: token, Client: client, UserAgent: "oriel/" + version(), GiveUp: f.giveUp, Progress: bars.show,
	})
	if err != nil {
		return usageError{err}
	}
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

// client makes the client that the flags ask for.
func (f scanFlags) client() (*http.Client, error) {
	t := http.DefaultTransport.(*http.Transport).Clone()
	var err error
	t.TLSClientConfig, err = f.trust(store.Owner{})
	return &http.Client{Transport: t}, err
}

// scanBars shows how far each list has been read, on a terminal.
type scanBars struct {
	out      io.Writer
	terminal bool

	// mu guards what follows.
	mu    sync.Mutex
	lists map[string]scanner.Progress
	drawn time.Time
}

func newScanBars(out io.Writer) *scanBars {
	f, ok := out.(*os.File)
	return &scanBars{out: out, terminal: ok && term.IsTerminal(int(f.Fd())), lists: map[string]scanner.Progress{}}
}

// show is called by the goroutines that read lists.
func (b *scanBars) show(p scanner.Progress) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lists[p.Platform] = p
	if !b.terminal || time.Since(b.drawn) < redraw {
		return
	}
	b.drawn = time.Now()
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(b.lists)) {
		if !b.lists[name].Done {
			parts = append(parts, listBar(b.lists[name]))
		}
	}
	fmt.Fprintf(b.out, "\r\x1b[K%s", strings.Join(parts, "  "))
}

// listBar draws one list.
func listBar(p scanner.Progress) string {
	const width = 20
	switch {
	case p.Position > 0:
		return fmt.Sprintf("%s: place %d in the queue", p.Platform, p.Position)
	case p.Total <= 0:
		return fmt.Sprintf("%s: %d rows", p.Platform, p.Rows)
	}
	full := width * min(p.Rows, p.Total) / p.Total
	return fmt.Sprintf("%s: [%s%s] %d of %d", p.Platform, strings.Repeat("#", full), strings.Repeat(".", width-full), p.Rows, p.Total)
}

// clear takes the line away.
func (b *scanBars) clear() {
	if b.terminal {
		fmt.Fprint(b.out, "\r\x1b[K")
	}
}
