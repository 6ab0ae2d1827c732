// Command measure prints what a reviewer asks about the source of a checkout:
// the size of the root, the rooms, files and functions, the methods of
// store.DB, imports between rooms, words of comments, repeated code, dead
// code, and how many tests there are.
//
//	go run ./internal/measure [-tools] [-tests] [DIR]
//
// It reads any checkout of the module, so two commits can be compared. -tools
// runs dupl and deadcode at fixed versions, which the Go command downloads.
// -tests runs `go test ./...` in a clone of DIR without neighbouring files,
// and counts the skipped tests. Nothing in DIR is written.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "measure:", err)
		os.Exit(1)
	}
}

// run measures the checkout that args name and writes the figures to w.
func run(args []string, w io.Writer) error {
	flags := flag.NewFlagSet("measure", flag.ContinueOnError)
	tools := flags.Bool("tools", false, "run dupl and deadcode")
	tests := flags.Bool("tests", false, "run the tests in a clone")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	dir := "."
	if flags.NArg() > 0 {
		dir = flags.Arg(0)
	}

	tree, err := readTree(dir)
	if err != nil {
		return fmt.Errorf("read %s: %w", dir, err)
	}
	tree.printRooms(w)
	tree.printSizes(w)
	tree.printDB(w)
	tree.printWords(w)
	tree.printTests(w)
	if *tools {
		if err := printTools(w, tree); err != nil {
			return err
		}
	}
	if *tests {
		return printTestRun(w, dir)
	}
	return nil
}
