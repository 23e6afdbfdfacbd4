package v1alpha1

import (
	"strings"
	"unicode/utf8"
)

// Showable says that a text moves no cursor and turns no line around where it is shown. Names that are not are refused at the
// door, and again by the law.
func Showable(s string) bool { return utf8.ValidString(s) && !strings.ContainsFunc(s, Unshowable) }

// Unshowable are what controls a terminal, and what breaks a line or changes its direction. The list is of today for good, as the law
// uses it: the tables of a later Unicode would make later members judge otherwise.
func Unshowable(r rune) bool {
	return r < 0x20 || 0x7f <= r && r < 0xa0 || r == 0x061c || 0x200e <= r && r <= 0x200f || 0x2028 <= r && r <= 0x202e || 0x2066 <= r && r <= 0x2069
}
