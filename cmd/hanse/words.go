package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"

	"golang.org/x/term"
)

// inWords is a word of the API for people: NotRendered is not rendered.
func inWords(camel string) string {
	var all strings.Builder
	for i, r := range camel {
		if unicode.IsUpper(r) && i > 0 {
			all.WriteByte(' ')
		}
		all.WriteRune(unicode.ToLower(r))
	}
	return all.String()
}

// span is a length of time for people: <1 ms, 1.5 ms, 40 ms, 0.84 s, 41 s, 3 min, 2 h, 5 d.
func span(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return "<1 ms"
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
	case d < 100*time.Millisecond:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Second:
		return seconds(d)
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d d", int(d.Hours()/24))
}

// howLongAgo is how long something is past, for people. What is younger than a second is now, and so is what a clock that is ahead wrote.
func howLongAgo(d time.Duration) string {
	if d < time.Second {
		return "now"
	}
	return span(d) + " ago"
}

// seconds is a length of time where many are compared: 0.09 s, 12.3 s.
func seconds(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%.2f s", d.Seconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

// isTerminal says whether a person watches.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// paint colours words where that carries meaning: never when piped, and never when NO_COLOR is set.
type paint struct{ on bool }

func newPaint(out io.Writer) paint {
	return paint{on: isTerminal(out) && os.Getenv("NO_COLOR") == ""}
}

func (p paint) red(s string) string    { return p.in("31", s) }
func (p paint) yellow(s string) string { return p.in("33", s) }
func (p paint) dim(s string) string    { return p.in("2", s) }

func (p paint) in(colour, s string) string {
	if !p.on || s == "" {
		return s
	}
	return "\x1b[" + colour + "m" + s + "\x1b[0m"
}
