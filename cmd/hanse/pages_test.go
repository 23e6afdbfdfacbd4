package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

// The page of commands has every verb with the words of its help; -v prints the table that it should have.
func TestThePageOfCommandsHasEveryVerb(t *testing.T) {
	page, err := os.ReadFile("../../docs/commands.md")
	if err != nil {
		t.Fatal(err)
	}
	table := "| verb | what it does |\n|---|---|\n" + verbLines("hanse", newApp("hanse", nil, io.Discard, io.Discard).Commands)
	if !strings.Contains(string(page), table) {
		t.Errorf("docs/commands.md has not this table:\n\n%s", table)
	}
}

func verbLines(path string, verbs []*cli.Command) (lines string) {
	for _, v := range verbs {
		of := path + " " + v.Name
		switch {
		case v.Hidden:
		case len(v.Subcommands) > 0:
			lines += verbLines(of, v.Subcommands)
		default:
			lines += fmt.Sprintf("| `%s` | %s |\n", of, v.Usage)
		}
	}
	return lines
}

var codeInPages = regexp.MustCompile("`hanse ([^`]+)`|(?m)^(?:\\$ )?hanse (.+)$")

// Every command in the pages is one that there is, with flags that there are.
func TestEveryCommandInThePagesIsOne(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatal("no pages", err)
	}
	for _, page := range append(pages, "../../README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range codeInPages.FindAllStringSubmatch(string(text), -1) {
			typed, _, _ := strings.Cut(m[1]+m[2], " #")
			typed, _, _ = strings.Cut(typed, " | ")
			typed += " X" // where a flag's value is left to the reader
			if _, err := arrange(newApp("hanse", nil, io.Discard, io.Discard), append([]string{"hanse"}, strings.Fields(typed)...)); err != nil {
				t.Errorf("%s: hanse %s: %v", filepath.Base(page), typed, err)
			}
		}
	}
}
