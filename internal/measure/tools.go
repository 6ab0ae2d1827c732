package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// The tools that are run, by module version.
const (
	dupl     = "github.com/mibk/dupl@v1.0.0"
	deadcode = "golang.org/x/tools/cmd/deadcode@v0.52.0"

	duplTokens = "40" // shorter repetitions are not counted
)

// printTools prints repeated and dead code.
func printTools(w io.Writer, t *tree) error {
	var names []string
	for _, f := range t.production() {
		names = append(names, f.name)
	}
	cmd := exec.Command("go", "run", dupl, "-t", duplTokens, "-plumbing", "-files")
	cmd.Dir, cmd.Stdin = t.dir, strings.NewReader(strings.Join(names, "\n"))
	out, err := output(cmd)
	if err != nil {
		return err
	}
	repeated := repeatedLines(out)
	fmt.Fprintf(w, "\nrepeated code (%s, %s tokens or more, without tests): %d lines in %d pairs\n",
		dupl, duplTokens, repeated, bytes.Count(out, []byte("\n")))
	w.Write(out)

	for _, args := range [][]string{{deadcode, "./..."}, {deadcode, "-test", "./..."}} {
		cmd := exec.Command("go", append([]string{"run"}, args...)...)
		cmd.Dir = t.dir
		out, err := output(cmd)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "\ndead code (%s): %d functions\n%s", strings.Join(args, " "), bytes.Count(out, []byte("\n")), out)
	}
	return nil
}

// repeatedLines counts the lines that dupl names, each once.
func repeatedLines(out []byte) int {
	place := regexp.MustCompile(`([^\s:]+\.go):(\d+)-(\d+)`)
	lines := map[string]bool{}
	for _, m := range place.FindAllSubmatch(out, -1) {
		var from, to int
		fmt.Sscan(string(m[2]), &from)
		fmt.Sscan(string(m[3]), &to)
		for n := from; n <= to; n++ {
			lines[fmt.Sprintf("%s:%d", m[1], n)] = true
		}
	}
	return len(lines)
}

// output runs cmd and returns its standard output; an error includes
// the command's standard error.
func output(cmd *exec.Cmd) ([]byte, error) {
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, stderr.Bytes())
	}
	return out, nil
}

// A testEvent is a line of `go test -json`.
type testEvent struct{ Action, Package, Test, Output string }

// printTestRun clones dir into an empty folder, runs its tests there and
// prints how long that took, what passed and what was skipped.
func printTestRun(w io.Writer, dir string) error {
	parent, err := os.MkdirTemp("", "measure")
	if err != nil {
		return err
	}
	defer os.RemoveAll(parent)
	clone := filepath.Join(parent, "clone")
	if _, err := output(exec.Command("git", "clone", "-q", dir, clone)); err != nil {
		return err
	}
	cmd := exec.Command("go", "test", "-count=1", "-json", "./...")
	cmd.Dir, cmd.Stderr = clone, os.Stderr
	cmd.Env = append(os.Environ(), "ORIEL_CORPUS=")
	start := time.Now()
	out, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		return err
	}
	took := time.Since(start).Round(time.Second)

	counts, skipped, reason := map[string]int{}, []string(nil), map[string]string{}
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		var e testEvent
		if json.Unmarshal(lines.Bytes(), &e) != nil || e.Test == "" {
			continue
		}
		name := e.Package + " " + e.Test
		switch e.Action {
		case "output":
			if !strings.HasPrefix(strings.TrimSpace(e.Output), "---") && !strings.HasPrefix(e.Output, "===") {
				reason[name] = strings.TrimSpace(e.Output)
			}
		case "skip":
			skipped = append(skipped, name+": "+reason[name])
			fallthrough
		case "pass", "fail":
			counts[e.Action]++
		}
	}
	fmt.Fprintf(w, "\ngo test ./... in a clone: %d passed, %d failed, %d skipped, in %s\n",
		counts["pass"], counts["fail"], counts["skip"], took)
	for _, s := range skipped {
		fmt.Fprintln(w, "  skipped", s)
	}
	return nil
}
