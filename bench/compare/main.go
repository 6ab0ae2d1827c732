// Command compare runs the benchmarks of two revisions in turn and prints the
// held figures of both in one table:
//
//	go run ./bench/compare [-rounds N] [-rows N] OLD [NEW]
//
// NEW is the working tree if it is missing. Each revision is checked out into a
// temporary worktree and runs its own benchmarks. Rounds alternate between the
// two, so that both meet the same load of the machine; a figure is the median of
// its rounds.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

// benchmarks are those that have held figures.
const benchmarks = "^Benchmark(Store|Report|Affected|Serve)$"

// side is one of the two revisions.
type side struct {
	name    string
	dir     string
	figures figures
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	flags := flag.NewFlagSet("compare", flag.ContinueOnError)
	flags.SetOutput(stderr)
	rounds := flags.Int("rounds", 3, "rounds of each revision")
	rows := flags.Int("rows", 100_000, "rows of the feed")
	which := flags.String("bench", benchmarks, "benchmarks to run")
	all := flags.Bool("all", false, "print all figures, not only the held ones")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() < 1 || flags.NArg() > 2 {
		return errors.New("usage: compare [flags] OLD [NEW]")
	}
	temp, err := os.MkdirTemp("", "oriel-compare-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	var sides []*side
	for i, revision := range flags.Args() {
		s := &side{name: revision, dir: filepath.Join(temp, fmt.Sprint(i)), figures: figures{}}
		if err := command(ctx, ".", stderr, "git", "worktree", "add", "--quiet", "--detach", s.dir, revision); err != nil {
			return err
		}
		// Without the context: an interrupted run removes its worktrees, too.
		defer func() {
			remove := exec.Command("git", "worktree", "remove", "--force", s.dir)
			err = errors.Join(err, remove.Run())
		}()
		sides = append(sides, s)
	}
	if len(sides) == 1 {
		here, err := os.Getwd()
		if err != nil {
			return err
		}
		sides = append(sides, &side{name: "working tree", dir: here, figures: figures{}})
	}
	for i, s := range sides {
		if err := command(ctx, s.dir, stderr, "go", "test", "-c", "-o", binary(temp, i), "./bench"); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	for round := range *rounds {
		for i, s := range sides {
			fmt.Fprintf(stderr, "round %d of %d: %s\n", round+1, *rounds, s.name)
			out, err := measure(ctx, filepath.Join(s.dir, "bench"), binary(temp, i), *which, *rows, stderr)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			s.figures.add(out)
		}
	}
	return writeTable(stdout, sides[0], sides[1], *all)
}

func binary(temp string, i int) string { return filepath.Join(temp, fmt.Sprintf("bench-%d.test", i)) }

// measure runs the benchmarks once and returns their output.
func measure(ctx context.Context, dir, binary, which string, rows int, stderr io.Writer) (string, error) {
	var out strings.Builder
	cmd := exec.CommandContext(ctx, binary, "-test.run", "^$", "-test.bench", which, "-test.benchtime", "1x", "-test.timeout", "1h")
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, stderr
	cmd.Env = append(os.Environ(), fmt.Sprintf("ORIEL_BENCH_ROWS=%d", rows))
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("run the benchmarks: %w\n%s", err, out.String())
	}
	return out.String(), nil
}

func command(ctx context.Context, dir string, stderr io.Writer, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, stderr, stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err)
	}
	return nil
}
