package main

import (
	"regexp"
	"strings"
	"unicode"
)

// ours are the only sequences that may speak to a terminal: the colours of paint.
var ours = regexp.MustCompile("\x1b\\[(31|33|2|0)m")

// escaped is one line of a text that others have written, as every terminal shows it: what would move the cursor, or make a terminal do
// something, is shown instead, as ^[ for the escape character.
func escaped(s string) string {
	var b strings.Builder
	from := 0
	for _, colour := range ours.FindAllStringIndex(s, -1) {
		b.WriteString(visible(s[from:colour[0]]) + s[colour[0]:colour[1]])
		from = colour[1]
	}
	return b.String() + visible(s[from:])
}

// escapedLines is a text of several lines, each escaped.
func escapedLines(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		lines[i] = escaped(line)
	}
	return strings.Join(lines, "\n")
}

func visible(s string) string {
	if strings.IndexFunc(s, unseen) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case r < ' ' || r == 0x7f:
			b.WriteString("^" + string(r^'@'))
		case unseen(r):
			b.WriteRune('\ufffd')
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// unseen are control characters, and those that turn the direction of what follows around.
func unseen(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }
