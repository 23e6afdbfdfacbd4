package agent

import (
	"bytes"
	"testing"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/plan"
	"github.com/hanse-fleet/hanse/secrets"
)

// TestWhoHasARecipientThatIsNoneKeepsNobodyFromAnotherKey: a holder that is bad gave it a wrap, and the law wants one for each that had one.
func TestWhoHasARecipientThatIsNoneKeepsNobodyFromAnotherKey(t *testing.T) {
	own, err := secrets.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	key, err := secrets.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	mine := own.Recipient().String()
	of := secrets.Key{Fleet: "f", Group: "readers", Epoch: 2}
	g := &v1alpha1.RecipientGroup{Status: v1alpha1.RecipientGroupStatus{Epoch: 1, Wraps: []v1alpha1.KeyWrap{
		{Cluster: "fra", Key: v1alpha1.KeyID(mine), Epoch: 1}, {Cluster: "iad", Key: v1alpha1.KeyID("junk"), Epoch: 1},
	}}}
	readers := []plan.KeyReader{{Cluster: "fra", Recipient: mine}, {Cluster: "iad", Recipient: "junk"}, {Cluster: "sin", Recipient: "junk too"}}
	for name, c := range map[string]struct {
		make bool
		want string
	}{
		"another key":        {true, "fra iad"},
		"the key that stays": {false, "fra"},
	} {
		wraps, unread := wrapsOf(g, plan.KeyDuty{Make: c.make, Wrap: readers}, key, of)
		got := ""
		for _, w := range wraps {
			if got != "" {
				got += " "
			}
			got += w.Cluster
			if w.Epoch != 2 || (w.Cluster == "iad") != bytes.Equal(w.Wrap, unreadable) || len(w.Wrap) == 0 {
				t.Errorf("%s: %s gets %q of epoch %d", name, w.Cluster, w.Wrap, w.Epoch)
			}
		}
		if got != c.want || len(unread) != 2 || unread["iad"] == nil || unread["sin"] == nil {
			t.Errorf("%s is wrapped for %s, and not for %v", name, got, unread)
		}
		if _, err := secrets.Unwrap(own, of, key.Recipient().String(), wraps[0].Wrap); err != nil {
			t.Errorf("%s: fra does not open it: %v", name, err)
		}
	}
}
