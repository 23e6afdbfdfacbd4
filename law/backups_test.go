package law

import (
	"testing"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

func TestWhoSaysWhatBecameOfABackup(t *testing.T) {
	made := func(by ...string) (all []v1alpha1.BackupMade) {
		for _, m := range by {
			all = append(all, v1alpha1.BackupMade{By: m, Name: m})
		}
		return all
	}
	ordered := v1alpha1.BackupRecord{Order: &v1alpha1.BackupOrder{Cluster: "iad"}, Made: made("fra")}
	done := v1alpha1.BackupRecord{Made: made("fra", "iad")}
	for name, tt := range map[string]struct {
		before         v1alpha1.BackupRecord
		member, person string
		after          v1alpha1.BackupRecord
		want           bool
	}{
		"the one that was ordered to make it":         {ordered, "id-iad", "", done, true},
		"that one also when it failed":                {ordered, "id-iad", "", v1alpha1.BackupRecord{Made: made("fra"), Failed: &v1alpha1.BackupFailed{By: "iad"}}, true},
		"no other member":                             {ordered, "id-fra", "", done, false},
		"no person, not even through it":              {ordered, "id-iad", "anna", done, false},
		"nobody gives itself an order":                {done, "id-iad", "", v1alpha1.BackupRecord{Order: &v1alpha1.BackupOrder{Cluster: "iad"}, Made: done.Made}, false},
		"who made the latest strikes off older ones":  {done, "id-iad", "", v1alpha1.BackupRecord{Made: made("iad")}, true},
		"who did not, does not":                       {done, "id-fra", "", v1alpha1.BackupRecord{Made: made("iad")}, false},
		"nobody strikes off the latest":               {done, "id-iad", "", v1alpha1.BackupRecord{Made: made("fra")}, false},
		"nobody adds one that it was not ordered for": {done, "id-iad", "", v1alpha1.BackupRecord{Made: made("fra", "iad", "iad")}, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRealm(t)
			if err := r.try("id-fra", "", term, r.put(v1alpha1.KeyBackups, tt.before)); err != nil {
				t.Fatal("the leader:", err)
			}
			if err := r.try(store.MemberID(tt.member), tt.person, 0, r.put(v1alpha1.KeyBackups, tt.after)); (err == nil) != tt.want {
				t.Errorf("got %v", err)
			}
			if err := r.try(store.MemberID(tt.member), tt.person, 0, store.Delete(v1alpha1.KeyBackups)); err == nil {
				t.Error("it was deleted")
			}
		})
	}
}

func TestOnlyAnAdminSaysGo(t *testing.T) {
	for name, tt := range map[string]struct {
		member, person string
		want           bool
	}{
		"an admin": {"id-fra", "anna", true}, "an operator": {"id-fra", "otto", false}, "a member with the right Admin": {"id-fra", "", true},
		"an admin through a member without it": {"id-sin", "anna", false},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRealm(t)
			record := r.put(v1alpha1.KeyObserving, v1alpha1.Observing{Reason: v1alpha1.ReasonRestored})
			if err := r.try(store.MemberID(tt.member), tt.person, 0, record); err == nil {
				t.Error("it made the fleet only look")
			}
			if err := r.try("id-fra", "", term, record); err != nil {
				t.Fatal("the leader:", err)
			}
			if err := r.try(store.MemberID(tt.member), tt.person, 0, store.Delete(v1alpha1.KeyObserving)); (err == nil) != tt.want {
				t.Errorf("got %v", err)
			}
		})
	}
}
