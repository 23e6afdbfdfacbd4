package kvstorage

import (
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const suite = "k8s.io/apiserver/pkg/storage/testing"

// TestTheListOfTheConformanceSuiteIsWhole compares what the suite exports, what is run here, and what docs/conformance.md
// says: a new version of Kubernetes may bring functions that nobody has thought about yet.
func TestTheListOfTheConformanceSuiteIsWhole(t *testing.T) {
	exported, run := exportedBySuite(t), runHere(t)
	listedRun, listedOut := listed(t, filepath.Join("..", "..", "docs", "conformance.md"))
	if len(exported) < 60 {
		t.Errorf("the suite exports %d functions: is this the suite?", len(exported))
	}
	for _, f := range exported {
		_, isOut := listedOut[f]
		switch isRun := slices.Contains(run, f); {
		case isRun && isOut:
			t.Errorf("%s is run, and the list leaves it out", f)
		case isRun && !slices.Contains(listedRun, f):
			t.Errorf("%s is run, and not in the list", f)
		case !isRun && !isOut:
			t.Errorf("%s is not run, and the list gives no reason", f)
		}
	}
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "conformance.md"))
	if counts := fmt.Sprintf("%d of its %d functions", len(listedRun), len(exported)); err != nil || !strings.Contains(string(page), counts) {
		t.Errorf("the page does not say %q (%v)", counts, err)
	}
	for _, f := range slices.Concat(listedRun, slices.Collect(maps.Keys(listedOut))) {
		if !slices.Contains(exported, f) {
			t.Errorf("%s is in the list, and not in the suite", f)
		}
	}
}

// exportedBySuite are the functions Run… that the suite's package exports.
func exportedBySuite(t *testing.T) []string {
	t.Helper()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	p, err := build.Import(suite, here, 0)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, name := range p.GoFiles {
		for _, d := range parsed(t, filepath.Join(p.Dir, name)).Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Run") {
				names = append(names, f.Name.Name)
			}
		}
	}
	return names
}

// runHere are those that conformance_test.go calls.
func runHere(t *testing.T) []string {
	t.Helper()
	var names []string
	ast.Inspect(parsed(t, "conformance_test.go"), func(n ast.Node) bool {
		call, ok := n.(*ast.SelectorExpr)
		if ok && strings.HasPrefix(call.Sel.Name, "Run") {
			names = append(names, call.Sel.Name)
		}
		return true
	})
	return names
}

func parsed(t *testing.T, path string) *ast.File {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

var row = regexp.MustCompile("(?m)^\\| `(Run\\w+)` \\| (.+) \\|$")

// listed are the rows of the page: those that are run, and those that are not, with the reason.
func listed(t *testing.T, page string) (run []string, out map[string]string) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	out = map[string]string{}
	for _, r := range row.FindAllStringSubmatch(string(text), -1) {
		if r[2] == "yes" {
			run = append(run, r[1])
		} else {
			out[r[1]] = r[2]
		}
	}
	return run, out
}
