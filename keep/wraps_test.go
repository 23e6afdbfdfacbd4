package keep

import (
	"bytes"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/consensus/store/storetest"
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

// signs says that a member signed a recipient, as signedBy reads it.
func signs(member store.Member, recipient string) []byte {
	return []byte(string(member.ID) + " " + recipient)
}

var errNotSigned = errors.New("its member has not signed it")

// signedBy is a Keeper that knows what members signed by signs.
func signedBy(h Holder) *Keeper {
	k := keeperOf(h)
	k.config.Signed = func(m store.Member, recipient string, status *v1alpha1.ClusterStatus) error {
		if string(status.RecipientSignature) != string(signs(m, recipient)) {
			return errNotSigned
		}
		return nil
	}
	return k
}

// TestAKeyIsWrappedForARecipientThatItsMemberSignedAlone: who may write the status of a Cluster could put a recipient of their own there.
func TestAKeyIsWrappedForARecipientThatItsMemberSignedAlone(t *testing.T) {
	fra := signedBy(keyHolder(t, "fra"))
	member, other := store.Member{ID: "id-iad", Cluster: "iad", Pin: store.Pin{1}}, store.Member{ID: "id-other"}
	own, made := keyHolder(t, "iad").recipient(), keyHolder(t, "iad").recipient()
	for name, c := range map[string]struct {
		recipient string
		signature []byte
		why       string
	}{
		"its own":                            {own, signs(member, own), ""},
		"one that was put there":             {made, signs(member, own), "has not signed it"},
		"one that somebody else signed":      {made, signs(other, made), "has not signed it"},
		"one that nobody signed":             {own, nil, "has not signed it"},
		"one that is none, and the member's": {"junk", signs(member, "junk"), "no age recipient"},
	} {
		v := storetest.View(t, member, map[string]any{
			v1alpha1.KeyClusters + "iad": v1alpha1.Cluster{Status: v1alpha1.ClusterStatus{Recipient: c.recipient, RecipientSignature: c.signature}},
		})
		_, err := fra.recipients(v)(plan.KeyReader{Cluster: "iad", Recipient: c.recipient})
		if (err == nil) != (c.why == "") || err != nil && !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: %v", name, err)
		}
		for _, reader := range []plan.KeyReader{{Cluster: "fra", Recipient: fra.recipient()}, {Recipient: own}} { // itself, and people
			if _, err := fra.recipients(v)(reader); err != nil {
				t.Errorf("%s: %q: %v", name, reader.Cluster, err)
			}
		}
	}
}

// TestAClusterThatHasTwoMembersGetsNoKey: a leader that lies adds one with a key of its own, and signs a recipient by that.
func TestAClusterThatHasTwoMembersGetsNoKey(t *testing.T) {
	fra := signedBy(keyHolder(t, "fra"))
	recipient := keyHolder(t, "iad").recipient()
	first, added := store.Member{ID: "id-iad", Cluster: "iad", Pin: store.Pin{1}}, store.Member{ID: "id-later", Cluster: "iad", Pin: store.Pin{2}}
	values := map[string]any{v1alpha1.KeyClusters + "iad": v1alpha1.Cluster{Status: v1alpha1.ClusterStatus{Recipient: recipient, RecipientSignature: signs(added, recipient)}}}
	reader := plan.KeyReader{Cluster: "iad", Recipient: recipient}
	if _, err := fra.recipients(storetest.View(t, added, values))(reader); err != nil {
		t.Errorf("it alone is its member: %v", err)
	}
	values[store.KeyMembers+string(added.ID)] = added
	if _, err := fra.recipients(storetest.View(t, first, values))(reader); err == nil || !strings.Contains(err.Error(), "the log has 2 members for it") {
		t.Errorf("it has two: %v", err)
	}
	other := store.Member{ID: "id-fra", Cluster: "fra", Pin: store.Pin{1}}
	delete(values, store.KeyMembers+string(added.ID))
	if _, err := fra.recipients(storetest.View(t, other, values))(reader); err == nil || !strings.Contains(err.Error(), "it has no member now") {
		t.Errorf("it has none: %v", err)
	}
}

// TestThatARecoveryRecipientGetsAKeyIsToldOnce: in the log of the member that wraps it, which no leader takes back.
func TestThatARecoveryRecipientGetsAKeyIsToldOnce(t *testing.T) {
	var told bytes.Buffer
	fra := keeperOf(keyHolder(t, "fra"))
	fra.log = slog.New(slog.NewTextHandler(&told, nil))
	first := func(by, key string) v1alpha1.KeyWrap {
		return v1alpha1.KeyWrap{Key: key, Epoch: 3, By: by, Wrap: []byte("wrapped")}
	}
	once := func(by, again, key string) v1alpha1.KeyWrap {
		w := first(by, key)
		w.Second = &v1alpha1.SecondWrap{By: again, Wrap: []byte("again")}
		return w
	}
	empty := first("fra", "hugo")
	empty.Wrap = v1alpha1.NoWrap
	cluster := v1alpha1.KeyWrap{Cluster: "iad", Key: "iads", Epoch: 3, Wrap: []byte("wrapped")}
	type wraps []v1alpha1.KeyWrap
	for _, w := range []struct {
		group   string
		was, is wraps
		err     error
	}{
		{"readers", nil, wraps{cluster, first("fra", "anna"), empty}, nil},
		{"readers", nil, wraps{first("fra", "anna")}, nil},
		{"readers", wraps{first("fra", "rosa")}, wraps{first("fra", "rosa"), cluster}, nil},
		{"readers", nil, wraps{first("iad", "rosa")}, nil},
		{"others", nil, wraps{first("fra", "anna")}, &store.Conflict{}},
		{"others", nil, wraps{first("fra", "anna")}, &store.Conflict{}},
		{"others", nil, wraps{first("fra", "anna")}, nil},
		{"readers", wraps{first("iad", "otto")}, wraps{once("iad", "fra", "otto")}, nil},
		{"readers", wraps{first("iad", "emma")}, wraps{once("iad", "sin", "emma")}, nil},
	} {
		of := func(all wraps) *v1alpha1.RecipientGroup {
			return &v1alpha1.RecipientGroup{ObjectMeta: metav1.ObjectMeta{Name: w.group}, Status: v1alpha1.RecipientGroupStatus{Wraps: all}}
		}
		fra.tellOfWraps(of(w.was), of(w.is), w.err)
	}
	var lines []string
	for line := range strings.Lines(told.String()) {
		_, said, _ := strings.Cut(strings.TrimSpace(line), "msg=")
		lines = append(lines, said)
	}
	of := func(gets, group, key string) string {
		return `"a recovery recipient ` + gets + `" group=` + group + ` epoch=3 recipient=` + key
	}
	const gets, may = "gets the key of a group", "may get the key of a group: it was wrapped for it, and is not known to be written"
	if want := []string{of(gets, "readers", "anna"), of(may, "others", "anna"), of(gets, "others", "anna"), of(gets, "readers", "otto")}; !slices.Equal(lines, want) {
		t.Errorf("it tells %q", lines)
	}
}
