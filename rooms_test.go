package hanse_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// room is a part of the house: a package, and those below it that are in no room of their own.
type room struct {
	path string
	// imports are the rooms that it may import.
	imports string
	// libraries are those of the guarded ones that it may import; that one comes with a room that it may import is no fault of it.
	libraries string
	// pure rooms make values of values: no disk, no network, no clock, no chance, no log.
	pure bool
	// reason of what is not there.
	reason string
}

var rooms = []room{
	{"api", "", "kubernetes", false, "every room imports the kinds, so they import no room"},
	{"consensus/store", "internal", "", true, "the state machine does not know that it is replicated, nor of what it is the state"},
	{"atrest", "internal", "age", false, "it encrypts files and pieces of a data directory, whatever they hold"},
	{"consensus", "atrest consensus/store internal", "raft", false, "it replicates bytes over a network that it is given"},
	{"transport", "atrest", "quic", false, "it carries streams between members, whatever flows in them"},
	{"tunnel", "internal", "", false, "it carries people's bytes over streams that it is given"},
	{"backup", "consensus/store internal", "age", false, "a backup is a store's state, encrypted, and a place where that may lie"},
	{"law", "api consensus/store", "kubernetes", true, "every member judges by it while it applies the log, so it knows nothing but the log"},
	{"epoch", "api consensus/store law", "kubernetes", true, "it decides how a fleet goes on, from what the log and people say"},
	{"express", "api", "cel", true, "an expression sees one cluster, and comes to the same everywhere"},
	{"plan", "api express", "kubernetes", true, "decisions are functions of values"},
	{"render", "api express", "kubernetes scheme", true, "what a cluster runs is a function of values"},
	{"compare", "api plan", "kubernetes", true, "what is different is a function of values"},
	{"decoded", "api consensus/store law plan", "", true, "it reads the log as objects, whoever decides what by them"},
	{"secrets", "", "kubernetes age", true, "it knows keys and bytes, wherever they lie"},
	{"keep", "api consensus/store decoded internal law plan secrets", "kubernetes", false, "it keeps keys, whoever replicates the log that it reads, and says who is there"},
	{"reconcile", "api compare internal plan", "kubernetes client-go", false, "it carries out what was granted, whoever granted it"},
	{"aggregate", "api internal", "kubernetes client-go apiserver", false, "it puts an API into a cluster, whatever the API serves"},
	{"apiserver", "api consensus/store express internal render secrets", "kubernetes client-go apiserver", false, "it serves the kinds from a store, whatever replicates that"},
	{"facts", "", "kubernetes client-go", false, "it finds out what a cluster and a machine can do, whoever is told"},
	{"project", "api internal", "kubernetes client-go", false, "it shows the fleet to a cluster, whoever says what the fleet is"},
	{"events", "", "kubernetes client-go", false, "it tells a cluster what it is given to tell"},
	{"proxy", "api internal", "kubernetes client-go", false, "it asks a cluster in a person's name, wherever that person comes from"},
	{"report", "api consensus/store internal", "", false, "it carries what members see of themselves, over streams that it is given"},
	{"systemd", "", "", false, "it tells systemd how a process is, whatever the process does"},
	{"internal", "", "", false, "what several rooms stand on stands on none of them"},
	{
		"agent", "aggregate api apiserver atrest backup consensus consensus/store decoded epoch events facts internal keep law plan project proxy reconcile render report secrets transport tunnel",
		"kubernetes client-go age", false, "the rooms meet here, and what is shipped does not hold what tests it",
	},
	{
		"cmd/hanse", "agent api atrest backup compare epoch internal keep plan render secrets systemd",
		"kubernetes client-go age", false, "the command line talks to a member by its API, and starts one by the agent",
	},
	{"chaos/testbed", "api", "kubernetes client-go", false, "the testbed runs the hanse binary as a person would"},
	{"chaos/hollow", "internal", "kubernetes client-go", false, "it plays a cluster's nodes, whatever runs on them"},
	{"chaos/cmd/testbed", "api chaos/hollow chaos/testbed internal", "kubernetes client-go", false, "the testbed runs the hanse binary as a person would"},
	{"chaos/drill", "api internal", "kubernetes client-go", false, "a drill does to a fleet what happens to fleets, from outside"},
	{
		"chaos", "agent api backup chaos/drill chaos/testbed consensus consensus/store epoch internal law plan secrets transport",
		"kubernetes client-go scheme apiserver age raft quic", false, "simulations and benchmarks look inside, and are not shipped",
	},
}

// library is one that not every room may know of: what ties a room to it costs a day to undo.
type library struct {
	name  string
	paths []string
}

// guarded libraries; the first that a path is within is the one that it is of.
var guarded = []library{
	{"raft", []string{"github.com/hashicorp/raft", "github.com/hashicorp/raft-boltdb/v2", "go.etcd.io/bbolt"}},
	{"quic", []string{"github.com/quic-go/quic-go"}},
	{"age", []string{"filippo.io/age"}},
	{"cel", []string{"github.com/google/cel-go"}},
	{"scheme", []string{"k8s.io/client-go/kubernetes/scheme"}},
	{"client-go", []string{"k8s.io/client-go"}},
	{"apiserver", []string{"k8s.io/apiserver"}},
	{"kubernetes", []string{"k8s.io", "sigs.k8s.io"}},
}

// outside is what a pure room has nothing to ask of.
var outside = []string{"os", "net", "io/fs", "os/exec", "syscall", "math/rand", "math/rand/v2", "crypto/rand", "log", "log/slog"}

func TestRoomsImportOnlyWhatTheyMay(t *testing.T) {
	for _, v := range violations(rooms, packages(t)) {
		t.Error(v)
	}
}

func TestARoomAllowsNothingThatItDoesNotUse(t *testing.T) {
	used := map[string]bool{}
	for _, p := range packages(t) {
		at := roomOf(rooms, p.path())
		if at == nil {
			continue
		}
		for _, imported := range p.Imports {
			if to := ours(imported); to != "" {
				used[at.path+" imports "+roomOf(rooms, to).path] = true
			}
			used[at.path+" imports "+libraryOf(imported)] = true
		}
	}
	for _, r := range rooms {
		for _, name := range strings.Fields(r.imports + " " + r.libraries) {
			if !used[r.path+" imports "+name] {
				t.Errorf("%s may import %s, and does not: take it from its line", r.path, name)
			}
		}
	}
}

func TestABrokenImportRuleIsSeen(t *testing.T) {
	table := []room{
		{"plan", "api", "kubernetes", true, "decides"},
		{"api", "", "kubernetes", false, "kinds"},
		{"transport", "", "quic", false, "carries"},
	}
	house := []pkg{
		{ImportPath: module + "/api/v1", Imports: []string{"k8s.io/api"}, Deps: []string{"k8s.io/api"}},
		{ImportPath: module + "/plan", Imports: []string{"fmt", "os", module + "/transport", "k8s.io/client-go/rest"}, Deps: []string{"os", "k8s.io/client-go/rest"}},
		{ImportPath: module + "/transport/wire", Imports: []string{"fmt"}, Deps: []string{"github.com/hashicorp/raft/api", "github.com/quic-go/quic-go"}},
		{ImportPath: module + "/transporter"},
	}
	want := []string{
		"plan imports os: a pure room asks nothing of the world (decides)",
		"plan imports transport: not one of its rooms (decides)",
		"plan imports k8s.io/client-go/rest: client-go is not one of its libraries (decides)",
		"transport/wire brings github.com/hashicorp/raft/api: raft is not of its libraries, nor of those of its rooms (carries)",
		"transporter is in no room: give it a line in rooms_test.go",
	}
	if diff := cmp.Diff(want, violations(table, house)); diff != "" {
		t.Error(diff)
	}
}

// violations are the sentences that say which package does what its room may not.
func violations(table []room, all []pkg) (found []string) {
	for _, p := range all {
		if p.path() == "" {
			continue // the tests of the house
		}
		at := roomOf(table, p.path())
		if at == nil {
			found = append(found, p.path()+" is in no room: give it a line in rooms_test.go")
			continue
		}
		for _, why := range slices.Concat(at.directly(table, p.Imports), at.inTheEnd(table, p.Imports, p.Deps)) {
			found = append(found, fmt.Sprintf("%s %s (%s)", p.path(), why, at.reason))
		}
	}
	return found
}

// directly is what is wrong with a package's own imports.
func (r *room) directly(table []room, imports []string) (wrong []string) {
	for _, imported := range imports {
		to, library := ours(imported), libraryOf(imported)
		switch {
		case r.pure && slices.Contains(outside, imported):
			wrong = append(wrong, "imports "+imported+": a pure room asks nothing of the world")
		case to != "" && !r.mayImport(table, to):
			wrong = append(wrong, "imports "+to+": not one of its rooms")
		case library != "" && !slices.Contains(strings.Fields(r.libraries), library):
			wrong = append(wrong, "imports "+imported+": "+library+" is not one of its libraries")
		}
	}
	return wrong
}

// inTheEnd is what is wrong with what a package's imports import in turn.
func (r *room) inTheEnd(table []room, imports, deps []string) (wrong []string) {
	may := r.brings(table)
	for _, imported := range deps {
		if library := libraryOf(imported); library != "" && !may[library] && !slices.Contains(imports, imported) {
			wrong = append(wrong, "brings "+imported+": "+library+" is not of its libraries, nor of those of its rooms")
		}
	}
	return wrong
}

func (r *room) mayImport(table []room, path string) bool {
	to := roomOf(table, path)
	return to != nil && (to.path == r.path || slices.Contains(strings.Fields(r.imports), to.path))
}

// brings are the libraries that come with a room: its own, and those of the rooms that it may import, and of theirs.
func (r *room) brings(table []room) map[string]bool {
	all := map[string]bool{}
	for todo, seen := []*room{r}, map[*room]bool{}; len(todo) > 0; {
		next := todo[0]
		todo = todo[1:]
		if seen[next] {
			continue
		}
		seen[next] = true
		for _, name := range strings.Fields(next.libraries) {
			all[name] = true
		}
		for _, path := range strings.Fields(next.imports) {
			todo = append(todo, roomOf(table, path))
		}
	}
	all["scheme"] = all["scheme"] || all["client-go"] // which are made of these
	all["cel"] = all["cel"] || all["apiserver"]
	return all
}

// roomOf is the room that a package is in, nil for none.
func roomOf(table []room, path string) (at *room) {
	for i, r := range table {
		if within(path, r.path) && (at == nil || len(r.path) > len(at.path)) {
			at = &table[i]
		}
	}
	return at
}

// ours is the path in this module of what is imported, "" for what is not of it.
func ours(imported string) string {
	path, is := strings.CutPrefix(imported, module+"/")
	if !is {
		return ""
	}
	return path
}

// libraryOf is the name of the guarded library that is imported, "" for any other.
func libraryOf(imported string) string {
	for _, l := range guarded {
		if slices.ContainsFunc(l.paths, func(path string) bool { return within(imported, path) }) {
			return l.name
		}
	}
	return ""
}

// within is true for the package itself and for those below it.
func within(path, root string) bool { return path == root || strings.HasPrefix(path, root+"/") }
