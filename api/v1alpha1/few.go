package v1alpha1

import (
	"fmt"
	"strings"
)

// Counted is what is said of so many things: one of a single one, many, with the number in it, of others.
func Counted[number ~int | ~int32 | ~int64](n number, one, many string) string {
	if n == 1 {
		return one
	}
	return fmt.Sprintf(many, n)
}

// Few lists the first of some names, and counts the others, for people: fra, iad, sin and 2 more.
func Few(names []string, most int) string {
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}
