package v1alpha1

import (
	"fmt"
	"strings"
)

// Few lists the first of some names, and counts the others, for people: fra, iad, sin and 2 more.
func Few(names []string, most int) string {
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}
