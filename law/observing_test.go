package law

import (
	"strings"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

func TestOnlyAnAdminLetsAClusterActAgainInItsOwnName(t *testing.T) {
	key := v1alpha1.KeyObserving + "iad"
	since := time.Unix(7, 0).UTC()
	looks := v1alpha1.Observing{Reason: v1alpha1.ReasonRestored, Since: since}
	by := func(person, through string) v1alpha1.Observing {
		return v1alpha1.Observing{Reason: v1alpha1.ReasonRestored, Since: since, Resumed: &v1alpha1.Resumption{By: person, Through: through, At: time.Unix(9, 0).UTC()}}
	}
	other := by("anna", "fra")
	other.Reason = v1alpha1.ReasonRecovered
	for name, tt := range map[string]struct {
		member, person string
		after          any
		want           bool
	}{
		"an admin":                              {"id-fra", "anna", by("anna", "fra"), true},
		"a member with the right Admin":         {"id-fra", "", by("", "fra"), true},
		"not an operator":                       {"id-fra", "otto", by("otto", "fra"), false},
		"not an admin through one without it":   {"id-sin", "anna", by("anna", "sin"), false},
		"not the cluster's own member":          {"id-iad", "", by("", "iad"), false},
		"not in another's name":                 {"id-fra", "anna", by("otto", "fra"), false},
		"not as if through another member":      {"id-fra", "anna", by("anna", "iad"), false},
		"not with another reason":               {"id-fra", "anna", other, false},
		"not with a field that nobody knows":    {"id-fra", "anna", map[string]any{"reason": "Restored", "since": since, "later": 1, "resumed": map[string]any{"by": "anna", "through": "fra", "at": since}}, false},
		"not without saying so":                 {"id-fra", "anna", looks, false},
		"not with what can be read in two ways": {"id-fra", "anna", map[string]any{"reason": "Restored", "since": since, "resumed": nil, "Resumed": map[string]any{"by": "anna", "through": "fra", "at": since}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRealm(t)
			if err := r.try(store.MemberID(tt.member), tt.person, 0, r.put(key, looks)); err == nil {
				t.Error("it made a cluster only look")
			}
			if err := r.try("id-fra", "", term, r.put(key, looks)); err != nil {
				t.Fatal("the leader:", err)
			}
			if err := r.try(store.MemberID(tt.member), tt.person, 0, r.put(key, tt.after)); (err == nil) != tt.want {
				t.Errorf("got %v", err)
			}
			if err := r.try(store.MemberID(tt.member), tt.person, 0, store.Delete(key)); err == nil {
				t.Error("the record was deleted")
			}
			if err := r.try("id-fra", "anna", 0, r.put(key, by("anna", "fra"))); tt.want && err == nil {
				t.Error("what was resumed is resumed again")
			}
		})
	}
}

func TestThatAClusterOnlyLooksGoesWithTheCluster(t *testing.T) {
	r := newRealm(t)
	key := v1alpha1.KeyObserving + "sin"
	if err := r.try("id-fra", "", term, r.put(key, v1alpha1.Observing{Reason: v1alpha1.ReasonRestored})); err != nil {
		t.Fatal("the leader:", err)
	}
	whole := r.whole(store.Delete(v1alpha1.KeyClusters + "sin"))
	without := append([]store.Op(nil), whole...)
	for i, op := range without {
		if op.Key == key {
			without = append(without[:i], without[i+1:]...)
			break
		}
	}
	if len(without) == len(whole) {
		t.Fatalf("its record does not go with it: %+v", whole)
	}
	if err := r.try("id-fra", "anna", 0, without...); err == nil || !strings.Contains(err.Error(), key) {
		t.Errorf("without it: %v", err)
	}
	if err := r.try("id-fra", "anna", 0, whole...); err != nil {
		t.Error(err)
	}
}
