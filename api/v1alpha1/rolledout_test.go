package v1alpha1

import "testing"

func TestWhatIsRolledOutIsNamed(t *testing.T) {
	for stored, want := range map[string]struct{ kind, key, title, arg string }{
		"web":        {"Bundle", "/bundles/web", "bundle web", "bundle/web"},
		"secret":     {"Bundle", "/bundles/secret", "bundle secret", "bundle/secret"},
		"secret.db":  {"FleetSecret", "/fleetsecrets/db", "secret db", "fleetsecret/db"},
		"secret.web": {"FleetSecret", "/fleetsecrets/web", "secret web", "fleetsecret/web"},
	} {
		r := RolledOutOf(stored)
		if r.Kind != want.kind || r.String() != stored || r.Key() != want.key || r.Title() != want.title || r.Arg() != want.arg {
			t.Errorf("%s is %s, kept at %s, read as %s and typed as %s", r, r.Kind, r.Key(), r.Title(), r.Arg())
		}
		if ref := r.Ref(); ref.Kind != r.Kind || ref.Name != r.Name || ref.APIVersion != "fleet.hanse.dev/v1alpha1" || !IsRolledOut(r.Kind) {
			t.Errorf("%s is referred to by %+v", r, ref)
		}
	}
}
