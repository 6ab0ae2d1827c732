package main

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A tree is the parsed source of one checkout.
type tree struct {
	dir    string
	module string
	fset   *token.FileSet
	files  []file
}

// A file is one Go source file of a tree.
type file struct {
	name  string // relative to the checkout, with slashes
	room  string // its folder; "." is the root
	test  bool
	lines int
	ast   *ast.File
}

// readTree parses all Go files below dir except testdata and hidden folders.
func readTree(dir string) (*tree, error) {
	t := &tree{dir: dir, fset: token.NewFileSet()}
	mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return nil, err
	}
	first, _, _ := strings.Cut(string(mod), "\n")
	t.module = strings.TrimSpace(strings.TrimPrefix(first, "module"))
	err = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		hidden := name != dir && strings.HasPrefix(d.Name(), ".")
		if d.IsDir() && (hidden || d.Name() == "testdata") {
			return fs.SkipDir
		}
		if d.IsDir() || hidden || !strings.HasSuffix(name, ".go") {
			return nil
		}
		return t.add(name)
	})
	return t, err
}

// add parses one file.
func (t *tree) add(name string) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	parsed, err := parser.ParseFile(t.fset, name, text, parser.ParseComments)
	if err != nil {
		return err
	}
	rel, err := filepath.Rel(t.dir, name)
	if err != nil {
		return err
	}
	rel = filepath.ToSlash(rel)
	t.files = append(t.files, file{
		name: rel, room: path.Dir(rel), test: strings.HasSuffix(rel, "_test.go"),
		lines: bytes.Count(text, []byte("\n")), ast: parsed,
	})
	return nil
}

// production returns the files that are not tests.
func (t *tree) production() []file {
	return slices.DeleteFunc(slices.Clone(t.files), func(f file) bool { return f.test })
}

// imports returns the packages of the module that f imports.
func (t *tree) imports(f file) []string {
	var paths []string
	for _, spec := range f.ast.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err == nil && (p == t.module || strings.HasPrefix(p, t.module+"/")) {
			paths = append(paths, p)
		}
	}
	return paths
}

// A function is one function declaration with a body.
type function struct {
	name  string
	file  string
	lines int
}

// functions returns the functions of the files.
func (t *tree) functions(files []file) []function {
	var found []function
	for _, f := range files {
		for _, decl := range f.ast.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			lines := t.fset.Position(fn.End()).Line - t.fset.Position(fn.Pos()).Line + 1
			found = append(found, function{receiver(fn) + fn.Name.Name, f.name, lines})
		}
	}
	return found
}

// receiver returns the type that fn is a method of, with a dot, or "".
func receiver(fn *ast.FuncDecl) string {
	if fn.Recv == nil || len(fn.Recv.List) == 0 {
		return ""
	}
	expr := fn.Recv.List[0].Type
	if star, ok := expr.(*ast.StarExpr); ok {
		expr = star.X
	}
	switch e := expr.(type) {
	case *ast.Ident:
		return e.Name + "."
	case *ast.IndexExpr:
		if id, ok := e.X.(*ast.Ident); ok {
			return id.Name + "."
		}
	}
	return ""
}
