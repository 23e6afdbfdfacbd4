package reconcile

import (
	"strings"
	"testing"
)

// What members say of a secret names it as people can type it.
func TestWhatIsSaidOfASecretNamesTheSecret(t *testing.T) {
	for name, want := range map[string]string{"shop": "hanse delete bundle/shop", "secret.db": "hanse delete fleetsecret/db"} {
		for _, damaged := range []string{"", "it cannot be read"} {
			b := &bundle{name: name, damaged: damaged}
			if got := b.whyOld(); !strings.HasSuffix(got, want) {
				t.Errorf("of %s it says: %s", name, got)
			}
		}
	}
	for label, want := range map[string]string{
		"shop":      "it exists already and is not of this bundle; delete it, or set the bundle's adopt to IfEqual or Always to take it over",
		"secret.db": "it exists already and is not of this secret; delete it, or seal the secret under another --secret-name",
	} {
		if got := conflictMessage(sighting{}, label); got != want {
			t.Errorf("of %s it says: %s", label, got)
		}
	}
	if got, want := conflictMessage(sighting{bundle: "secret.db"}, "shop"), "it belongs to secret db; remove it from one of the two"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
