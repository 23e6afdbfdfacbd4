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

// TestNoCommandIsCut: of what a bundle with a long name is told, the commands are whole or not there.
func TestNoCommandIsCut(t *testing.T) {
	for _, name := range []string{"shop", strings.Repeat("s", 63), strings.Repeat("s", 84), strings.Repeat("s", 85), strings.Repeat("s", 253)} {
		for _, damaged := range []string{"", strings.Repeat("it is damaged, ", 50)} {
			b := &bundle{name: name, damaged: damaged, refused: 1 << 62, grant: Grant{Epoch: Epoch{Number: 1}}}
			b.inv.storeRevision, b.inv.epoch = 1<<63, 2
			got := b.oldGrant().message
			deletes, gives := "hanse delete bundle/"+name, "to give it up: "+giveUp(name)
			if len(got) > maxMessage || !strings.Contains(got, deletes) || strings.Contains(got, "kubectl") && !strings.HasSuffix(got, gives) {
				t.Errorf("of a name of %d letters, with the inventory %.20q: %s", len(name), damaged, got)
			}
			if len(name) <= 63 && damaged == "" && !strings.HasSuffix(got, gives) {
				t.Errorf("there is room for %s: %s", gives, got)
			}
		}
	}
}
