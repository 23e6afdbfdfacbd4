package agent

import (
	"bytes"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/plan"
	"github.com/hanse-fleet/hanse/secrets"
	"github.com/hanse-fleet/hanse/transport"
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
		wraps, unread := wrapsOf(g, plan.KeyDuty{Make: c.make, Wrap: readers}, parsed, key, of)
		got := ""
		for _, w := range wraps {
			if got != "" {
				got += " "
			}
			got += w.Cluster
			if w.Epoch != 2 || (w.Cluster == "iad") != bytes.Equal(w.Wrap, v1alpha1.NoWrap) || len(w.Wrap) == 0 {
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

// parsed takes each recipient as it stands.
func parsed(r plan.KeyReader) (secrets.Recipient, error) { return secrets.ParseRecipient(r.Recipient) }

// TestAKeyIsWrappedForARecipientThatItsMemberSignedAlone: who may write the status of a Cluster could put a recipient of their own there.
func TestAKeyIsWrappedForARecipientThatItsMemberSignedAlone(t *testing.T) {
	fra := &keyKeeper{Core: keyHolder(t, "fra")}
	member, err := transport.NewIdentity("acme", "iad", "id-iad")
	if err != nil {
		t.Fatal(err)
	}
	other, err := transport.NewIdentity("acme", "iad", "id-other")
	if err != nil {
		t.Fatal(err)
	}
	first, now := time.Unix(9, 0), time.Unix(3609, 0)
	signAt := func(by transport.Identity, recipient string, since time.Time) []byte {
		signature, err := by.SignRecipient(recipient, since)
		if err != nil {
			t.Fatal(err)
		}
		return signature
	}
	sign := func(by transport.Identity, recipient string) []byte { return signAt(by, recipient, now) }
	own, made := keyHolder(t, "iad").age.Recipient().String(), keyHolder(t, "iad").age.Recipient().String()
	for name, c := range map[string]struct {
		recipient string
		signature []byte
		why       string
	}{
		"its own":                             {own, sign(member, own), ""},
		"one that was put there":              {made, sign(member, own), "somebody put another one there"},
		"one that somebody else signed":       {made, sign(other, made), "somebody put another one there"},
		"one that it had before":              {made, signAt(member, made, first), "said that it is newer"},
		"one that nobody signed":              {own, nil, "has not signed its recipient"},
		"one that is none, and the member's ": {"junk", sign(member, "junk"), "no age recipient"},
	} {
		v := stateWith(t, store.Member{ID: "id-iad", Cluster: "iad", Pin: store.Pin(member.Pin()), Certificate: member.Certificate()}, map[string]any{
			v1alpha1.KeyClusters + "iad": v1alpha1.Cluster{Status: v1alpha1.ClusterStatus{Recipient: c.recipient, RecipientSignature: c.signature, RecipientSince: &metav1.Time{Time: now}}},
		})
		_, err := fra.recipients(v)(plan.KeyReader{Cluster: "iad", Recipient: c.recipient})
		if (err == nil) != (c.why == "") || err != nil && !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: %v", name, err)
		}
		for _, reader := range []plan.KeyReader{{Cluster: "fra", Recipient: fra.age.Recipient().String()}, {Recipient: own}} { // itself, and people
			if _, err := fra.recipients(v)(reader); err != nil {
				t.Errorf("%s: %q: %v", name, reader.Cluster, err)
			}
		}
	}
}
