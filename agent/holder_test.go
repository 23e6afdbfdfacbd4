package agent

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/transport"
)

// TestARecipientIsAMembersOwnIfItSignedIt: who may write the status of a Cluster could put a recipient of their own there.
func TestARecipientIsAMembersOwnIfItSignedIt(t *testing.T) {
	fra := keyHolder(t, "fra")
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
	of := store.Member{ID: "id-iad", Cluster: "iad", Pin: store.Pin(member.Pin()), Certificate: member.Certificate()}
	for name, c := range map[string]struct {
		recipient string
		signature []byte
		since     *metav1.Time
		why       string
	}{
		"its own":                       {own, sign(member, own), &metav1.Time{Time: now}, ""},
		"its own, of no time":           {own, signAt(member, own, time.Time{}), nil, ""},
		"one that was put there":        {made, sign(member, own), &metav1.Time{Time: now}, "somebody put another one there"},
		"one that somebody else signed": {made, sign(other, made), &metav1.Time{Time: now}, "somebody put another one there"},
		"one that it had before":        {made, signAt(member, made, first), &metav1.Time{Time: now}, "said that it is newer"},
		"one that nobody signed":        {own, nil, &metav1.Time{Time: now}, "has not signed its recipient"},
	} {
		err := fra.signedRecipient(of, c.recipient, &v1alpha1.ClusterStatus{Recipient: c.recipient, RecipientSignature: c.signature, RecipientSince: c.since})
		if (err == nil) != (c.why == "") || err != nil && !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
