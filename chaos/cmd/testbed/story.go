package main

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// story prints the demo: numbered steps, each with what it came to at the end of its line, and below it the commands.
type story struct {
	out   io.Writer
	step  int
	steps int
}

// storyColumn is where a step's outcome begins.
const storyColumn = 66

// begin opens a step's line.
func (s *story) begin(title string) {
	s.step++
	line := fmt.Sprintf("[%d/%d] %s", s.step, s.steps, title)
	fmt.Fprint(s.out, pad(line, storyColumn))
}

// end closes a step's line.
func (s *story) end(outcome string) { fmt.Fprintln(s.out, outcome) }

// command is what a person would type; remark may be empty.
func (s *story) command(command, remark string) {
	line := "        $ " + command
	if remark != "" {
		line = pad(line, storyColumn) + "# " + remark
	}
	fmt.Fprintln(s.out, line)
}

func (s *story) say(format string, args ...any) {
	fmt.Fprintf(s.out, "        "+format+"\n", args...)
}

// pad fills up to a column, and leaves at least two spaces.
func pad(text string, column int) string {
	return text + strings.Repeat(" ", max(2, column-utf8.RuneCountInString(text)))
}

// short is a duration as people say it; those that may be very short in milliseconds.
func short(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return seconds(d)
}
