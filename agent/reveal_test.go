package agent

import (
	"errors"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/apiserver"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/consensus/store/storetest"
)

func TestWhoCannotOpenASecretSaysWhoCan(t *testing.T) {
	fra, sin := keyHolder(t, "fra"), keyHolder(t, "sin")
	values := sealedValues(t, fra, func(*v1alpha1.FleetSecret) {})
	group := values[v1alpha1.KeyRecipientGroups+"readers"].(*v1alpha1.RecipientGroup)
	group.Spec.ClusterSelector = &metav1.LabelSelector{}
	group.Status.Wraps = append(group.Status.Wraps, v1alpha1.KeyWrap{Cluster: "iad", Key: "lost since", Epoch: 1, Wrap: []byte("wrapped")})
	for name, recipient := range map[string]string{"fra": fra.age.Recipient().String(), "iad": "another"} {
		values[v1alpha1.KeyClusters+name] = v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: v1alpha1.ClusterStatus{Recipient: recipient}}
	}
	v := storetest.View(t, store.Member{ID: "m", Cluster: "fra", Pin: store.Pin{1}}, values)
	_, _, err := sin.revealing(v, "db", apiserver.Asker{})
	if !errors.Is(err, errNotOurs) || !strings.Contains(err.Error(), "cluster sin has no key of group readers") || !strings.HasSuffix(err.Error(), "members that hold the key: fra") {
		t.Errorf("the error is %v", err)
	}
	gone := sealedState(t, fra, func(s *v1alpha1.FleetSecret) { s.Spec.Group = "gone" })
	if _, _, err := fra.revealing(gone, "db", apiserver.Asker{}); !errors.Is(err, errNotOurs) || !strings.Contains(err.Error(), "group gone, which is not there") {
		t.Errorf("for a group that is gone: %v", err)
	}
	if _, _, err := fra.revealing(v, "api", apiserver.Asker{}); !errors.Is(err, errNoSecret) {
		t.Errorf("one that is not there: %v", err)
	}
}

// What changes nothing would be recorded as an edit like any other, and two may be told within one tick of a clock.
func TestEachRevealIsAnotherNote(t *testing.T) {
	now := time.Date(2030, 1, 2, 3, 4, 5, 6, time.UTC)
	note := revealedAt(now, "an older one")
	if note != "2030-01-02T03:04:05.000000006Z" {
		t.Errorf("the note is %s", note)
	}
	for range 3 { // the clock stands
		next := revealedAt(now, note)
		if next == note {
			t.Fatalf("%s is there already", note)
		}
		note = next
	}
	if first, then := revealedAt(now, ""), revealedAt(now.Add(time.Nanosecond), ""); first == then {
		t.Errorf("a nanosecond later it is %s", then)
	}
}
