package law

import "testing"

func TestThingsAreCalledAsPeopleCallThem(t *testing.T) {
	for key, want := range map[string]string{
		"/bundles/shop":         "bundle shop",
		"/clusters/fra":         "cluster fra",
		"/bundlerevisions/s-1":  "bundle revision s-1",
		"/changes/users.anna":   "change users.anna",
		"/pasts/users.anna":     "what was before change users.anna",
		"/grants/fra/shop":      "the grant of bundle shop to cluster fra",
		"/tombstones/1234-abcd": "what is left of the deleted bundle with uid 1234-abcd",
		"/tokens/feed":          "a token",
		"/observing/fra":        "that cluster fra only looks",
		"/backups/fleet":        "the record of backups",
		"/else/what":            "/else/what",
	} {
		if said := Thing(key); said != want {
			t.Errorf("%s is called %q, not %q", key, said, want)
		}
	}
}
