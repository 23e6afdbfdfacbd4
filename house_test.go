// Package hanse_test keeps the house in order: which room may know of which, and that each says what it is for.
package hanse_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/hanse-fleet/hanse"

// pkg is what `go list -json` says of a package.
type pkg struct {
	ImportPath, Dir, Name string
	GoFiles, CgoFiles     []string
	Imports, Deps         []string
	ImportMap             map[string]string
}

func TestTimeIsAnArgumentToPureRooms(t *testing.T) {
	clock := []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTicker", "NewTimer"}
	for _, p := range packages(t) {
		if at := roomOf(rooms, p.path()); at == nil || !at.pure {
			continue
		}
		eachFile(t, p, func(fset *token.FileSet, f *ast.File) {
			ast.Inspect(f, func(n ast.Node) bool {
				sel, ok := n.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				if x, ok := sel.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains(clock, sel.Sel.Name) {
					t.Errorf("%s: time.%s: time is an argument here", fset.Position(n.Pos()), sel.Sel.Name)
				}
				return true
			})
		})
	}
}

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	for _, p := range packages(t) {
		if len(p.GoFiles)+len(p.CgoFiles) == 0 {
			continue // tests only
		}
		var comments []string
		eachFile(t, p, func(_ *token.FileSet, f *ast.File) {
			if f.Doc != nil && strings.TrimSpace(f.Doc.Text()) != "" {
				comments = append(comments, f.Doc.Text())
			}
		})
		if len(comments) != 1 {
			t.Errorf("%s has %d package comments, not one", p.ImportPath, len(comments))
			continue
		}
		if want := "Package " + p.Name + " "; p.Name != "main" && !strings.HasPrefix(comments[0], want) {
			t.Errorf("the comment of %s does not begin with %q", p.ImportPath, want)
		}
	}
}

func TestEverythingIsFormatted(t *testing.T) {
	eachSource(t, func(path string, source []byte) {
		formatted, err := format.Source(source)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if !bytes.Equal(source, formatted) {
			t.Errorf("%s is not formatted: gofmt -w %s", path, path)
		}
	})
}

func TestVirtualTimeIsPlayedByVirtual(t *testing.T) {
	plays := []byte("synctest.Test" + "(")
	eachSource(t, func(path string, source []byte) {
		if bytes.Contains(source, plays) && filepath.ToSlash(path) != "internal/virtual/virtual.go" {
			t.Errorf("%s plays in virtual time by synctest.Test: use virtual.Test, the race detector does not bear the other", path)
		}
	})
}

// eachSource looks at every file of Go, the tests too.
func eachSource(t *testing.T, look func(path string, source []byte)) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "bin") {
			return filepath.SkipDir
		}
		if d.IsDir() || filepath.Ext(path) != ".go" {
			return nil
		}
		source, err := os.ReadFile(path)
		if err == nil {
			look(path, source)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestTheModuleCanBeInstalled(t *testing.T) {
	data, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range regexp.MustCompile(`(?m)^(replace|exclude)\b.*$`).FindAllString(string(data), -1) {
		t.Errorf("go.mod: %q makes `go install %s/cmd/hanse@latest` refuse", line, module)
	}
}

// path is the package's place in the house; "." is the root.
func (p pkg) path() string {
	return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
}

// packages are those of the module, without what only their tests import.
func packages(t *testing.T) []pkg {
	t.Helper()
	return listed(t, nil, "./...")
}

// listed are packages in the order that go list has them, in an environment that is different by so much.
func listed(t *testing.T, environment []string, args ...string) []pkg {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Dir,Name,GoFiles,CgoFiles,Imports,Deps,ImportMap"}, args...)...)
	cmd.Env, cmd.Stderr = append(os.Environ(), environment...), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal("go list:", err)
	}
	var all []pkg
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal("go list:", err)
		}
		all = append(all, p)
	}
}

func eachFile(t *testing.T, p pkg, see func(*token.FileSet, *ast.File)) {
	t.Helper()
	fset := token.NewFileSet()
	for _, name := range slices.Concat(p.GoFiles, p.CgoFiles) {
		f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		see(fset, f)
	}
}

var link = regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)

func TestLinksInDocumentsLead(t *testing.T) {
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != "." {
			return fs.SkipDir
		}
		if filepath.Ext(path) != ".md" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), m[1])); err != nil {
				t.Errorf("%s links to %s, which is not there", path, m[1])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
