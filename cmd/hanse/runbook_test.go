package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// runbook is docs/recovery.md.
func runbook(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/recovery.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// tryOut is the one block of the runbook that is a script by itself.
func tryOut(t *testing.T) string {
	t.Helper()
	_, rest, _ := strings.Cut(runbook(t), "```sh\n")
	script, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("the runbook has no script")
	}
	return script
}

var (
	prompted = regexp.MustCompile(`(?m)^\$ (.*)$`)
	remark   = regexp.MustCompile(`( > \S+)?( +# .*)?$`)
	wrapped  = regexp.MustCompile(`^(exits \d |exec |until )`)
)

// standIns are what the script does where a machine would run systemctl; handed is what it has the results of as files.
var (
	standIns = map[string]string{"systemctl stop hanse": "kill -INT ", "systemctl start hanse": "exec hanse agent "}
	handed   = []string{"age-keygen ", "install "}
)

// typedBy says what a line of a script types: what is behind a # nobody does.
func typedBy(line string) string { return wrapped.ReplaceAllString(line, "") }

// walks says which commands of a runbook a script does not type in their order, "" when it types all.
func walks(script, runbook string) (lacks string) {
	lines := strings.Split(script, "\n")
	for _, m := range prompted.FindAllStringSubmatch(runbook, -1) {
		command := strings.ReplaceAll(remark.ReplaceAllString(m[1], ""), "/var/lib/hanse", "$HANSE_DATA_DIR")
		if slices.ContainsFunc(handed, func(g string) bool { return strings.HasPrefix(command, g) }) {
			continue
		}
		types := func(line string) bool { return strings.HasPrefix(typedBy(line), command) }
		if other, ok := standIns[command]; ok {
			types = func(line string) bool { return strings.HasPrefix(line, other) }
		}
		i := slices.IndexFunc(lines, types)
		if i < 0 {
			return command
		}
		lines = lines[i+1:]
	}
	return ""
}

// What the runbook says to type is typed in testdata/member/runbook.txtar, in its order, with more behind: addresses of this
// machine. What is after a > or a # is for the reader.
func TestTheRunbookIsWalkedThrough(t *testing.T) {
	script, err := os.ReadFile("testdata/member/runbook.txtar")
	if err != nil {
		t.Fatal(err)
	}
	if lacks := walks(string(script), runbook(t)); lacks != "" {
		t.Errorf("the script does not type, or not in this order: %s", lacks)
	}
}

func TestWhatIsNotTypedIsNoWalk(t *testing.T) {
	const book = "$ systemctl stop hanse\n$ hanse recover --show > x   # here\nfleet acme\n$ age-keygen -o k\n$ systemctl start hanse\n"
	for script, lacks := range map[string]string{
		"kill -INT iad\nexits 0 hanse recover --show -o json\nexec hanse agent &a&": "",
		"kill -INT iad\n# exits 0 hanse recover --show\nexec hanse agent &a&":       "hanse recover --show",
		"kill -INT iad\n# hanse recover --show\nexec hanse agent &a&":               "hanse recover --show",
		"# systemctl stop hanse\nhanse recover --show\nexec hanse agent &a&":        "systemctl stop hanse",
		"kill -INT iad\nexec hanse recover --show\n# systemctl start hanse":         "systemctl start hanse",
		"exec hanse recover --show\nkill -INT iad\nexec hanse agent &a&":            "hanse recover --show",
	} {
		if got := walks(script, book); got != lacks {
			t.Errorf("of\n%s\nlacks %q, not %q", script, got, lacks)
		}
	}
}
