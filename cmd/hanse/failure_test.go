package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What a member warns of is told by every verb that writes; these only read, or say it in their answer.
func TestWhatTheMemberWarnsOfIsToldByWhoeverWrites(t *testing.T) {
	readers := []string{"backup.go", "completion.go", "diff.go", "reach.go", "recover.go", "status.go", "version.go"}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		deaf := !strings.HasSuffix(file, "_test.go") && bytes.Contains(text, []byte("connect(c, nil)"))
		if deaf && !slices.Contains(readers, file) {
			t.Errorf("%s does not tell what the member warns of", file)
		}
	}
}

// What a member says of people and objects comes into errors and warnings, and members were told it by others.
func TestNoErrorAndNoWarningSpeaksToATerminal(t *testing.T) {
	var talk bytes.Buffer
	app := newApp("hanse", strings.NewReader(""), io.Discard, &talk)
	report(app, errors.New("jane\x1b[2J changed it\nand \u202eago\r"))
	(&warner{to: &talk}).HandleWarningHeader(299, "", "by \x1b]0;x\a")
	const want = "hanse: jane^[[2J changed it\nand \ufffdago^M\nwarning: by ^[]0;x^G\n"
	if talk.String() != want {
		t.Errorf("%q", talk.String())
	}
}
