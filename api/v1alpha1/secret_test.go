package v1alpha1

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestAKeyIsNotOldBeforeAnHour: whatever stands in the log, everything is not sealed again each minute.
func TestAKeyIsNotOldBeforeAnHour(t *testing.T) {
	begun := time.Unix(1e6, 0)
	g := &RecipientGroup{
		Spec:   RecipientGroupSpec{RotateAfter: &metav1.Duration{Duration: time.Minute}},
		Status: RecipientGroupStatus{Epoch: 1, Begun: &metav1.Time{Time: begun}},
	}
	for age, want := range map[time.Duration]string{MinRotateAfter - time.Second: "", MinRotateAfter: KeyIsOld} {
		if got := g.AnotherKey(func(string, string) bool { return true }, begun.Add(age)); got != want {
			t.Errorf("after %s: %q", age, got)
		}
	}
}

func TestTheLatestProvenKeyIsThatOfTheLatestWrap(t *testing.T) {
	key := KeyID("of fra")
	latest, first := KeyWrap{Cluster: "fra", Key: key, Epoch: 2, Wrap: []byte("2")}, KeyWrap{Cluster: "fra", Key: key, Epoch: 1, Wrap: []byte("1")}
	for _, wraps := range [][]KeyWrap{{first, latest}, {latest, first}} {
		g := &RecipientGroup{Status: RecipientGroupStatus{Epoch: 3, Wraps: wraps}}
		if wrap, epoch := g.ProvenWrap("fra", "of fra"); epoch != 2 || string(wrap) != "2" {
			t.Errorf("of %v it is %d", wraps, epoch)
		}
	}
}
