package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The exit codes are a promise to scripts.
const (
	exitOK        = 0
	exitError     = 1
	exitUsage     = 2 // what was typed or given is wrong, whatever state the fleet is in
	exitDiffers   = 3 // differs, or unhealthy
	exitNoQuorum  = 4 // surely not written
	exitUncertain = 5 // timed out; may have been written; safe to repeat
)

// failure is an error as a person sees it: what was being done, why it failed, and what to do next.
type failure struct {
	code  int
	doing string // the verb and its object: apply shop
	why   string
	hints []hint
	// reason is the API's, for failures that a verb decides on.
	reason metav1.StatusReason
}

// hint is one line under an error: some words, and a command without the program's name. Either may be empty.
type hint struct{ words, command string }

func (f *failure) Error() string {
	if f.doing == "" {
		return f.why
	}
	if f.why == "" {
		return f.doing
	}
	return f.doing + ": " + f.why
}

// usage is a mistake in what was typed or given.
func usage(why string, hints ...hint) *failure {
	return &failure{code: exitUsage, why: why, hints: hints}
}

func usagef(format string, args ...any) *failure { return usage(fmt.Sprintf(format, args...)) }

// during says what was being done when err happened. It keeps a failure's own code and hints.
func during(doing string, err error) error {
	if err == nil {
		return nil
	}
	var f *failure
	if !errors.As(err, &f) {
		f = &failure{code: exitError, why: err.Error()}
	}
	told := *f
	if told.doing == "" {
		told.doing = doing
	}
	return &told
}

// reasonNotKnown is that of an object that is not here, while there is no quorum to say whether it is anywhere.
const reasonNotKnown metav1.StatusReason = "NotKnown"

// reasonVotes is that of a cluster that is not removed because it votes, and for nothing else.
const reasonVotes = metav1.StatusReason(causeVotes)

// isReason says whether err is a failure that the API gave this reason for.
func isReason(err error, reason metav1.StatusReason) bool {
	var f *failure
	return errors.As(err, &f) && f.reason == reason
}

// report prints an error, if there is one, and returns the exit code.
func report(app *cli.App, err error) int {
	if err == nil {
		return exitOK
	}
	var f *failure
	if !errors.As(err, &f) {
		f = &failure{code: exitError, why: err.Error()}
		if errors.Is(err, context.Canceled) {
			f.why = "interrupted"
		}
	}
	if f.Error() == "" { // said already
		return f.code
	}
	f.print(app)
	return f.code
}

// print says what it is, a hint a line.
func (f *failure) print(app *cli.App) {
	fmt.Fprintln(app.ErrWriter, escapedLines(app.Name+": "+f.Error()))
	for _, h := range f.hints {
		fmt.Fprintln(app.ErrWriter, escapedLines("  "+h.line(app.Name)))
	}
}

func (h hint) line(program string) string {
	switch {
	case h.command == "":
		return h.words
	case h.words == "":
		return program + " " + h.command
	}
	return strings.TrimSuffix(h.words, ":") + ": " + program + " " + h.command
}
