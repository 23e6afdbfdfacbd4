// Package hanse_test keeps the house in order: which room may know of which, and that each says what it is for.
package hanse_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
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

	"github.com/google/go-cmp/cmp"
)

const module = "github.com/hanse-fleet/hanse"

// rule says what a room must never import. Rooms and imports that start with "./" are ours.
type rule struct {
	room      string // this package and those below it
	forbidden []string
	direct    bool // only the room's own imports count, not what those import in turn
	reason    string
}

var (
	raft = []string{"github.com/hashicorp/raft", "github.com/hashicorp/raft-boltdb/v2", "go.etcd.io/bbolt"}
	quic = []string{"github.com/quic-go/quic-go"}
	k8s  = []string{"k8s.io", "sigs.k8s.io"}
	// outside is what a pure room has nothing to ask of.
	outside = []string{"os", "net", "io/fs", "os/exec", "syscall", "math/rand", "math/rand/v2", "crypto/rand"}
)

var rules = []rule{
	{
		room: "./cmd/hanse", direct: true,
		forbidden: slices.Concat([]string{"./consensus", "./transport", "./aggregate", "./apiserver", "./reconcile", "./report", "./internal/fault"}, raft, quic),
		reason:    "the command line talks to a member by its API, and starts one by the agent",
	},
	{
		room:      "./api",
		forbidden: slices.Concat([]string{"./agent", "./aggregate", "./apiserver", "./consensus", "./transport", "./law", "./plan", "./reconcile", "./report", "./cmd", "./chaos", "./systemd"}, raft, quic),
		reason:    "every room imports the kinds, so they import no room",
	},
	{
		room:      "./apiserver",
		forbidden: slices.Concat([]string{"./agent", "./aggregate", "./reconcile", "./report", "./transport", "./law", "./plan", "./cmd", "./chaos"}, raft, quic),
		reason:    "it serves the kinds from a store, whatever replicates that",
	},
	{
		room:      "./consensus",
		forbidden: slices.Concat([]string{"./agent", "./api", "./aggregate", "./apiserver", "./reconcile", "./report", "./transport", "./law", "./plan", "./cmd", "./chaos"}, quic, k8s),
		reason:    "it replicates bytes over a network that it is given",
	},
	{
		room:      "./consensus/store",
		forbidden: slices.Concat([]string{"./consensus"}, raft),
		reason:    "the state machine is pure, and does not know that it is replicated",
	},
	{
		room: "./consensus/store", direct: true,
		forbidden: outside,
		reason:    "applying the log is pure: no disk, no network, no chance",
	},
	{
		room:      "./backup",
		forbidden: slices.Concat([]string{"./agent", "./api", "./aggregate", "./apiserver", "./reconcile", "./report", "./transport", "./plan", "./cmd", "./chaos"}, raft, quic, k8s),
		reason:    "a backup is a store's state, encrypted, and a place where that may lie",
	},
	{
		room:      "./transport",
		forbidden: slices.Concat([]string{"./agent", "./api", "./aggregate", "./apiserver", "./consensus", "./reconcile", "./report", "./law", "./plan", "./cmd", "./chaos"}, raft, k8s),
		reason:    "it carries streams between members, whatever flows in them",
	},
	{
		room:      "./tunnel",
		forbidden: slices.Concat([]string{"./agent", "./api", "./apiserver", "./consensus", "./reconcile", "./transport", "./law", "./plan", "./cmd", "./chaos"}, raft, quic, k8s),
		reason:    "it carries people's bytes over streams that it is given",
	},
	{
		room:      "./proxy",
		forbidden: slices.Concat([]string{"./agent", "./aggregate", "./apiserver", "./backup", "./consensus", "./epoch", "./project", "./reconcile", "./report", "./transport", "./tunnel", "./law", "./plan", "./cmd", "./chaos"}, raft, quic),
		reason:    "it asks a cluster in a person's name, wherever that person comes from",
	},
	{
		room:      "./plan",
		forbidden: slices.Concat([]string{"./agent", "./aggregate", "./apiserver", "./consensus", "./reconcile", "./report", "./transport", "./law", "./cmd", "./chaos", "k8s.io/client-go"}, raft, quic),
		reason:    "decisions are functions of values",
	},
	{
		room: "./plan", direct: true,
		forbidden: outside,
		reason:    "decisions are functions of values: no disk, no network, no chance",
	},
	{
		room:      "./render",
		forbidden: slices.Concat([]string{"./agent", "./aggregate", "./apiserver", "./backup", "./consensus", "./epoch", "./project", "./reconcile", "./report", "./transport", "./law", "./plan", "./cmd", "./chaos"}, raft, quic),
		reason:    "what a cluster runs is a function of values",
	},
	{
		room: "./render", direct: true,
		forbidden: slices.Concat(outside, []string{"k8s.io/client-go/rest"}),
		reason:    "what a cluster runs is a function of values: no disk, no network, no chance",
	},
	{
		room: "./compare", direct: true,
		forbidden: slices.Concat(outside, []string{"./agent", "./aggregate", "./apiserver", "./consensus", "./reconcile", "./render", "./transport", "./law", "./cmd", "k8s.io/client-go"}, raft, quic),
		reason:    "what is different is a function of values",
	},
	{
		room:      "./express",
		forbidden: slices.Concat([]string{"./agent", "./aggregate", "./apiserver", "./backup", "./consensus", "./epoch", "./project", "./reconcile", "./report", "./transport", "./law", "./plan", "./render", "./cmd", "./chaos", "k8s.io/client-go"}, raft, quic),
		reason:    "an expression sees one cluster, and nothing else",
	},
	{
		room: "./express", direct: true,
		forbidden: outside,
		reason:    "an expression comes to the same everywhere: no disk, no network, no chance",
	},
	{
		room:      "./law",
		forbidden: slices.Concat([]string{"./agent", "./aggregate", "./apiserver", "./reconcile", "./report", "./transport", "./plan", "./cmd", "./chaos", "k8s.io/client-go"}, raft, quic),
		reason:    "every member judges by it while applying the log, so it knows nothing but the log",
	},
	{
		room: "./law", direct: true,
		forbidden: outside,
		reason:    "judging is pure: no disk, no network, no chance",
	},
	{
		room:      "./epoch",
		forbidden: slices.Concat([]string{"./agent", "./aggregate", "./apiserver", "./backup", "./reconcile", "./report", "./transport", "./plan", "./cmd", "./chaos", "k8s.io/client-go"}, raft, quic),
		reason:    "it decides how a fleet goes on, from what the log and people say",
	},
	{
		room: "./epoch", direct: true,
		forbidden: outside,
		reason:    "decisions are functions of values: no disk, no network, no chance",
	},
	{
		room:      "./reconcile",
		forbidden: slices.Concat([]string{"./agent", "./aggregate", "./apiserver", "./consensus", "./report", "./transport", "./law", "./cmd", "./chaos"}, raft, quic),
		reason:    "it carries out what was granted, whoever granted it",
	},
	{
		room:      "./aggregate",
		forbidden: slices.Concat([]string{"./agent", "./apiserver", "./consensus", "./reconcile", "./report", "./transport", "./law", "./plan", "./cmd", "./chaos"}, raft, quic),
		reason:    "it puts an API into a cluster, whatever the API serves",
	},
	{
		room:      "./facts",
		forbidden: slices.Concat([]string{"./agent", "./aggregate", "./apiserver", "./backup", "./consensus", "./epoch", "./project", "./reconcile", "./report", "./transport", "./law", "./plan", "./cmd", "./chaos"}, raft, quic),
		reason:    "it finds out what a cluster and a machine can do, whoever is told",
	},
	{
		room:      "./secrets",
		forbidden: slices.Concat([]string{"./agent", "./aggregate", "./apiserver", "./backup", "./consensus", "./epoch", "./project", "./reconcile", "./report", "./transport", "./law", "./plan", "./render", "./cmd", "./chaos", "k8s.io/client-go"}, raft, quic),
		reason:    "it knows keys and bytes, wherever they lie",
	},
	{
		room: "./secrets", direct: true,
		forbidden: []string{"os", "net", "io/fs", "os/exec", "syscall", "log", "log/slog", "math/rand", "math/rand/v2"},
		reason:    "what is sealed or opened reaches no disk, no network and no log by it",
	},
	{
		room:      "./report",
		forbidden: slices.Concat([]string{"./agent", "./aggregate", "./apiserver", "./backup", "./epoch", "./reconcile", "./transport", "./law", "./plan", "./cmd", "./chaos", "k8s.io/client-go"}, raft, quic),
		reason:    "it carries what members see of themselves, over streams that it is given",
	},
	{
		room:      "./project",
		forbidden: slices.Concat([]string{"./agent", "./apiserver", "./consensus", "./reconcile", "./report", "./transport", "./law", "./plan", "./cmd", "./chaos"}, raft, quic),
		reason:    "it shows the fleet to a cluster, whoever says what the fleet is",
	},
	{
		room:      "./events",
		forbidden: slices.Concat([]string{"./agent", "./aggregate", "./api", "./apiserver", "./backup", "./consensus", "./epoch", "./facts", "./project", "./reconcile", "./report", "./transport", "./law", "./plan", "./cmd", "./chaos"}, raft, quic),
		reason:    "it tells a cluster what it is given to tell",
	},
	{
		room:      "./systemd",
		forbidden: slices.Concat([]string{"./agent", "./aggregate", "./apiserver", "./consensus", "./reconcile", "./report", "./transport", "./law", "./plan", "./cmd", "./chaos"}, raft, quic, k8s),
		reason:    "it tells systemd how a process is, whatever the process does",
	},
	{
		room:      "./agent",
		forbidden: []string{"./cmd", "./chaos"},
		reason:    "what is shipped does not hold what tests it",
	},
	{
		room:      "./chaos/testbed",
		forbidden: slices.Concat([]string{"./agent", "./aggregate", "./apiserver", "./consensus", "./reconcile", "./report", "./transport", "./law", "./plan"}, raft, quic),
		reason:    "the testbed runs the hanse binary as a person would",
	},
}

// noClock are the rooms to which time is an argument.
var noClock = []string{"./plan", "./secrets", "./render", "./express", "./law", "./epoch", "./consensus/store"}

// pkg is what `go list -json` says of a package.
type pkg struct {
	ImportPath, Dir, Name string
	GoFiles, CgoFiles     []string
	Imports, Deps         []string
}

func TestRoomsImportOnlyWhatTheyMay(t *testing.T) {
	for _, v := range violations(rules, packages(t)) {
		t.Error(v)
	}
}

func TestABrokenImportRuleIsSeen(t *testing.T) {
	house := []pkg{
		{ImportPath: module + "/plan", Imports: []string{"fmt", "net/http"}, Deps: []string{"fmt", "net", "net/http", "os"}},
		{ImportPath: module + "/transport/wire", Imports: []string{"fmt"}, Deps: []string{"github.com/hashicorp/raft/api"}},
		{ImportPath: module + "/transporter", Deps: []string{"github.com/hashicorp/raft"}},
	}
	table := []rule{
		{room: "./plan", direct: true, forbidden: []string{"net", "os"}, reason: "pure"},
		{room: "./transport", forbidden: []string{"github.com/hashicorp/raft"}, reason: "carries"},
	}
	want := []string{
		"plan imports net/http: pure",
		"transport/wire imports, in the end, github.com/hashicorp/raft/api: carries",
	}
	if diff := cmp.Diff(want, violations(table, house)); diff != "" {
		t.Error(diff)
	}
}

// violations are the sentences that say which package breaks which rule.
func violations(table []rule, all []pkg) []string {
	var found []string
	for _, r := range table {
		for _, p := range all {
			if !within(p.ImportPath, r.room) {
				continue
			}
			imports, how := p.Deps, "imports, in the end,"
			if r.direct {
				imports, how = p.Imports, "imports"
			}
			for _, imported := range imports {
				if slices.ContainsFunc(r.forbidden, func(f string) bool { return within(imported, f) }) && !within(imported, r.room) {
					found = append(found, fmt.Sprintf("%s %s %s: %s", strings.TrimPrefix(p.ImportPath, module+"/"), how, imported, r.reason))
				}
			}
		}
	}
	return found
}

// within is true for the package itself and for those below it.
func within(path, root string) bool {
	root = strings.Replace(root, "./", module+"/", 1)
	return path == root || strings.HasPrefix(path, root+"/")
}

func TestTimeIsAnArgumentToPureRooms(t *testing.T) {
	clock := []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTicker", "NewTimer"}
	for _, p := range packages(t) {
		if !slices.ContainsFunc(noClock, func(room string) bool { return within(p.ImportPath, room) }) {
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

// packages are those of the module, without what only their tests import.
func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,Name,GoFiles,CgoFiles,Imports,Deps", "./...")
	cmd.Stderr = os.Stderr
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
