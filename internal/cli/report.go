package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"oriel/clair"
	"oriel/index"
	"oriel/internal/app"
	"oriel/internal/distro"
	"oriel/internal/render"
	"oriel/match"
	"oriel/store"
)

// reportFlags are the flags of report.
type reportFlags struct {
	format, output, failOn, minSeverity string
	distro, image, platform             string
	allowIncomplete                     string
	onlyFixed, why, offline             bool
}

// gateError is the gates that a report fails. Its text has one line for each.
type gateError []render.GateFailure

func (e gateError) Error() string {
	var lines []string
	for _, f := range e {
		lines = append(lines, f.String())
	}
	return strings.Join(lines, "\n")
}

// gateErrorOf returns the gateError of a report, nil if it fails no gate.
func gateErrorOf(r *render.Report) error {
	if len(r.Failed) == 0 {
		return nil
	}
	return gateError(r.Failed)
}

func (o *oriel) reportCommand() *cobra.Command {
	var f reportFlags
	cmd := &cobra.Command{
		Use:   "report INPUT",
		Short: "Report the vulnerabilities of an input; needs no running server",
		Long: `Report the vulnerabilities of an input, according to the data in the database. The input is a docker
save or OCI layout archive or folder, a root directory, an SBOM (CycloneDX, SPDX, syft), a Clair index report,
a dpkg, apk or rpm database, or the digest of a stored manifest.

Feeds with enabled = "auto" that the input needs are fetched first if they were never fetched; --offline,
ORIEL_OFFLINE=1 and updater.auto = false prevent that.

With --fail-on the exit code is 3 if a finding meets one of its conditions, or if packages are not covered by
any feed.`,
		Args: usage(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error { return o.report(cmd.Context(), args[0], f) },
	}
	f.register(cmd.Flags())
	cmd.Flags().BoolVar(&f.offline, "offline", false, "fetch no feeds")
	cmd.Flags().BoolVar(&f.why, "why", false, "print the reason of each finding, and the operation it came from, after the report")
	return cmd
}

// register makes the flags that all reports have.
func (f *reportFlags) register(flags *pflag.FlagSet) {
	flags.StringVarP(&f.format, "format", "f", "table", "table, json (Clair's), sarif, cyclonedx, csv or html")
	flags.StringVarP(&f.output, "output", "o", "", "file to write to (default: standard output)")
	flags.StringVar(&f.failOn, "fail-on", "", "fail on findings, or if packages are not covered: a list of a severity (high), cvss=7, epss=0.5, kev, urgent, incomplete")
	flags.StringVar(&f.allowIncomplete, "allow-incomplete", "", "let --fail-on accept these places without feeds, such as alpine:*,npm; without a list, all of them and missing data")
	flags.Lookup("allow-incomplete").NoOptDefVal = render.AllowAll
	flags.StringVar(&f.minSeverity, "min-severity", "", "omit findings of lower severities")
	flags.BoolVar(&f.onlyFixed, "only-fixed", false, "omit findings without a fix")
	flags.StringVar(&f.image, "image", "", "the name or digest of the image, if an archive holds several")
	flags.StringVar(&f.platform, "platform", "", `the platform of the image, such as "linux/arm64" (default: this machine's)`)
	flags.StringVar(&f.distro, "distro", "", `the distribution if the input does not name it, such as "debian:12"`)
}

// report makes and writes one report.
func (o *oriel) report(ctx context.Context, name string, f reportFlags) (err error) {
	format, filter, in, err := f.parse()
	if err != nil {
		return usageError{err}
	}
	cfg, log, err := o.config()
	if err != nil {
		return err
	}
	gates, err := f.gates(cfg.Matcher.AllowIncomplete)
	if err != nil {
		return usageError{err}
	}
	r := &reporter{
		o:          o,
		cfg:        cfg,
		log:        log,
		offline:    f.offline,
		severities: f.dependsOnSeverity(),
	}
	defer func() { err = errors.Join(err, r.close()) }()
	input, res, err := r.report(ctx, name, in)
	if err != nil {
		return err
	}
	rep, err := newReport(ctx, cfg, r.db, input.Report, res)
	if err != nil {
		return err
	}
	rep.Name, rep.Gates = name, gates
	made := render.New(rep, filter)
	if err := o.write(format, made, f); err != nil {
		return err
	}
	if f.why {
		latest, err := r.db.GetLatestUpdateRefs(ctx, clair.KindVulnerability)
		if err != nil {
			return err
		}
		if err := writeWhy(o.stdout, made, latest); err != nil {
			return err
		}
	}
	return gateErrorOf(made)
}

// gates returns the gates of the flags. allowed are the places that the
// configuration allows to be left uncovered.
func (f reportFlags) gates(allowed []string) (render.Gates, error) {
	if f.allowIncomplete != "" {
		allowed = append(slices.Clone(allowed), strings.Split(f.allowIncomplete, ",")...)
	}
	return render.ParseGates(f.failOn, allowed)
}

// dependsOnSeverity reports whether a filter or gate depends on the severity of
// findings.
func (f reportFlags) dependsOnSeverity() bool {
	if f.minSeverity != "" {
		return true
	}
	for word := range strings.SplitSeq(f.failOn, ",") {
		word = strings.ToLower(strings.TrimSpace(word))
		if word != "" && word != "kev" && word != "incomplete" && !strings.HasPrefix(word, "epss") {
			return true
		}
	}
	return false
}

// parse checks the flags, except for the gates.
func (f reportFlags) parse() (format render.Format, filter render.Filter, in index.InputOptions, err error) {
	var errs []error
	format, err = render.FormatByName(f.format)
	errs = append(errs, err)
	filter.OnlyFixed = f.onlyFixed
	if f.why && format.Name != "table" {
		errs = append(errs, clair.Invalid("why", "is for the format table; the others have the reasons"))
	}
	if f.minSeverity != "" {
		errs = append(errs, filter.MinSeverity.UnmarshalText([]byte(f.minSeverity)))
	}
	in.Image, in.Platform = f.image, f.platform
	if f.distro != "" {
		release, ok := distro.ReleaseByName(f.distro)
		if !ok {
			errs = append(errs, clair.Invalid("distro", "%.60q is not a known distribution", f.distro))
		}
		in.Release = &release
	}
	return format, filter, in, errors.Join(errs...)
}

// readInput reads a stored manifest by its digest, or else a file or directory.
func readInput(ctx context.Context, db *store.DB, name string, o index.InputOptions) (*index.Input, error) {
	hash, err := clair.ParseDigest(name)
	if err != nil {
		return index.ReadInput(ctx, name, o)
	}
	r, err := db.IndexReport(ctx, hash)
	if err != nil {
		return nil, err
	}
	if r.State != clair.StateIndexFinished {
		return nil, fmt.Errorf("%w: the index report of %s is in state %s", clair.ErrNotFound, hash, r.State)
	}
	return &index.Input{Kind: "stored manifest", Report: r}, nil
}

// newReport returns the model of a report: its findings, and the state of the
// data that they are from.
func newReport(ctx context.Context, cfg *app.Config, db *store.DB, index *clair.IndexReport, res *match.Result) (render.Input, error) {
	in := renderInput(res)
	all, err := app.Health(cfg, db, nil).Feeds(ctx)
	if err != nil {
		return in, err
	}
	in.Coverage, err = app.NewCoverer(cfg, db, nil).Coverage(ctx, index)
	if err != nil {
		return in, err
	}
	in.Unmatched, in.NeverFetched = in.Coverage.Unmatched, app.NeverFetched(all)
	needed := in.Coverage.Needed(all)
	in.Partial = append(in.Partial, needed.Lagging(in.Now)...)
	if oldest := needed.Oldest(); oldest != nil {
		in.DataTime, in.MaxAge = oldest.LastSuccess, oldest.StaleAfter
	}
	return in, nil
}

// renderInput returns the model of the result of matching.
func renderInput(res *match.Result) render.Input {
	in := render.Input{
		Tool:     app.Version(),
		Report:   res.Report,
		Why:      map[string]map[string]render.Why{},
		Priority: res.Priority,
		Now:      time.Now(),
	}
	for id, list := range res.Why {
		in.Why[id] = map[string]render.Why{}
		for v, w := range list {
			in.Why[id][v] = render.Why{
				Rule:     w.Rule,
				Matched:  w.Package,
				Kind:     w.Matched,
				Affected: w.Affected,
			}
		}
	}
	for _, i := range res.Incomparable {
		in.Incomparable = append(in.Incomparable, render.Incomparable(i))
	}
	for _, f := range res.Failures {
		in.Partial = append(in.Partial, f.Enricher)
	}
	return in
}

// write writes a report to the output that the flags name.
func (o *oriel) write(format render.Format, rep *render.Report, f reportFlags) error {
	if f.output == "" {
		return o.writeTo(o.stdout, format, rep)
	}
	return o.writeWhole(f.output, func(out io.Writer) error { return o.writeTo(out, format, rep) })
}

// writeTo writes a report, and to standard error the warnings that its format
// has no place for.
func (o *oriel) writeTo(out io.Writer, format render.Format, rep *render.Report) error {
	if format.Name == "csv" || format.Name == "json" {
		for _, w := range rep.Warnings() {
			fmt.Fprintln(o.stderr, "oriel: warning:", w)
		}
	}
	if format.Name != "table" {
		return format.Write(out, rep)
	}
	return render.Table(tableOptions(out))(out, rep)
}

// tableOptions fit a table to the terminal it is for.
func tableOptions(out io.Writer) render.TableOptions {
	f, ok := out.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return render.TableOptions{}
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		width = 0
	}
	return render.TableOptions{Width: width, Color: os.Getenv("NO_COLOR") == ""}
}

// writeWhy prints the reason of each finding, by package, with the feed and the
// operation that it came from.
func writeWhy(out io.Writer, rep *render.Report, latest map[string][]clair.UpdateOperation) error {
	byPackage := map[string][]render.Finding{}
	for _, f := range rep.Findings {
		key := f.Package.Name + " " + f.Package.Version
		byPackage[key] = append(byPackage[key], f)
	}
	for _, i := range rep.Incomparable {
		_, err := fmt.Fprintf(out, "\n%s %s\n  not compared with %s: %s\n", i.Package, i.Version, strings.Join(i.Advisories, ", "), i.Reason)
		if err != nil {
			return err
		}
	}
	for _, key := range slices.Sorted(maps.Keys(byPackage)) {
		if _, err := fmt.Fprintf(out, "\n%s\n", key); err != nil {
			return err
		}
		for _, f := range byPackage[key] {
			for _, source := range f.Sources {
				ref := "gone"
				if ops := latest[source.Feed]; len(ops) > 0 {
					ref = ops[0].Ref.String()
				}
				if _, err := fmt.Fprintf(out, "  %s (%s, operation %s): %s\n", source.Advisory, source.Feed, ref, source.Why); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
