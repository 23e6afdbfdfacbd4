package main

import (
	"os"
	"regexp"
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
	typed   = regexp.MustCompile(`(?m)^\$ ((?:hanse|mv|systemctl) .*)$`)
	remark  = regexp.MustCompile(`( > \S+)?( +# .*)?$`)
	wrapped = regexp.MustCompile(`^(# |exits \d |exec |until )`)
)

// What the runbook says to type is typed in testdata/member/runbook.txtar, in its order, with more behind: addresses of this
// machine. What is after a > or a # is for the reader.
func TestTheRunbookIsWalkedThrough(t *testing.T) {
	script, err := os.ReadFile("testdata/member/runbook.txtar")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(script), "\n")
	for _, m := range typed.FindAllStringSubmatch(runbook(t), -1) {
		command := strings.ReplaceAll(remark.ReplaceAllString(m[1], ""), "/var/lib/hanse", "$HANSE_DATA_DIR")
		for len(lines) > 0 && !strings.HasPrefix(wrapped.ReplaceAllString(lines[0], ""), command) {
			lines = lines[1:]
		}
		if len(lines) == 0 {
			t.Fatalf("the script does not type, or not in this order: %s", command)
		}
		lines = lines[1:]
	}
}
