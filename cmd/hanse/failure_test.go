package main

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

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
