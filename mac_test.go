package hanse_test

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"strings"
	"testing"
)

// TestTheCommandLineIsSoundOnAMac: hanse seal is for laptops, and what is built and run everywhere else here is for Linux. All that cmd/hanse is made
// of is read as the compiler of a Mac would read it, and nothing is compiled: that takes minutes.
func TestTheCommandLineIsSoundOnAMac(t *testing.T) {
	read := sources{"unsafe": types.Unsafe}
	for _, p := range listed(t, []string{"GOOS=darwin", "GOARCH=arm64", "CGO_ENABLED=0"}, "-deps", "./cmd/hanse") { // what a package imports comes before it
		if p.ImportPath != "unsafe" {
			read.add(t, p)
		}
	}
}

// sources are packages that were read, by their paths.
type sources map[string]*types.Package

// add reads a package. Of other modules it reads what they offer, not how that is done.
func (s sources) add(t *testing.T, p pkg) {
	fset, files := token.NewFileSet(), []*ast.File(nil)
	for _, name := range p.GoFiles {
		f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	c := types.Config{Importer: imports{s, p.ImportMap}, Sizes: types.SizesFor("gc", "arm64"), IgnoreFuncBodies: !strings.HasPrefix(p.ImportPath, module)}
	read, err := c.Check(p.ImportPath, fset, files, nil)
	if err != nil {
		t.Fatalf("%s does not build on a Mac: %v", p.ImportPath, err)
	}
	s[p.ImportPath] = read
}

// imports are what one package imports, some by other paths than are written.
type imports struct {
	sources
	by map[string]string
}

// Import implements types.Importer.
func (i imports) Import(path string) (*types.Package, error) {
	if p := i.sources[cmp.Or(i.by[path], path)]; p != nil {
		return p, nil
	}
	return nil, fmt.Errorf("%s was not read", path)
}
