package check

import "fmt"

// Terms judges who led: one member a term.
type Terms struct{ leaders map[uint64]string }

// Leads takes that a member leads a term, and says what is wrong with that, "" for nothing.
func (t *Terms) Leads(term uint64, member string) string {
	if t.leaders == nil {
		t.leaders = map[uint64]string{}
	}
	if other, led := t.leaders[term]; led && other != member {
		return fmt.Sprintf("%s and %s both led term %d", other, member, term)
	}
	t.leaders[term] = member
	return ""
}

// Same says which members have another state at the same revision as the first one, "" for none. states are digests.
func Same(states map[string]string) string {
	first, want := "", ""
	for name, digest := range states {
		if first == "" || name < first {
			first, want = name, digest
		}
	}
	for name, digest := range states {
		if digest != want {
			return fmt.Sprintf("%s and %s have the same revision and not the same state", first, name)
		}
	}
	return ""
}
