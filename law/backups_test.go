package law

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

func TestWhoSaysWhatBecameOfABackup(t *testing.T) {
	at := time.Date(2026, 3, 5, 12, 0, 0, 0, time.UTC)
	made := func(by ...string) (all []v1alpha1.BackupMade) {
		for _, m := range by {
			all = append(all, v1alpha1.BackupMade{By: m, Name: m, At: at})
		}
		return all
	}
	order := &v1alpha1.BackupOrder{Cluster: "iad", At: at}
	ordered := v1alpha1.BackupRecord{Order: order, Made: made("fra")}
	done := v1alpha1.BackupRecord{Made: made("fra", "iad")}
	failed := func(f v1alpha1.BackupFailed) v1alpha1.BackupRecord {
		return v1alpha1.BackupRecord{Made: made("fra"), Failed: &f}
	}
	with := func(m v1alpha1.BackupMade) v1alpha1.BackupRecord {
		return v1alpha1.BackupRecord{Made: append(made("fra"), m)}
	}
	full := v1alpha1.BackupRecord{Order: order, Made: slices.Repeat(made("fra"), v1alpha1.MaxBackups)}
	for name, tt := range map[string]struct {
		before         v1alpha1.BackupRecord
		member, person string
		after          v1alpha1.BackupRecord
		want           bool
	}{
		"the one that was ordered to make it":       {ordered, "id-iad", "", done, true},
		"that one also when it failed":              {ordered, "id-iad", "", failed(v1alpha1.BackupFailed{By: "iad", At: at}), true},
		"but not that another failed":               {ordered, "id-iad", "", failed(v1alpha1.BackupFailed{By: "sin", At: at}), false},
		"nor at a time of its own":                  {ordered, "id-iad", "", failed(v1alpha1.BackupFailed{By: "iad", At: at.Add(9999 * time.Hour)}), false},
		"nor at length":                             {ordered, "id-iad", "", failed(v1alpha1.BackupFailed{By: "iad", At: at, Error: strings.Repeat("x", 1<<10)}), false},
		"nor that it made one at a time of its own": {ordered, "id-iad", "", with(v1alpha1.BackupMade{By: "iad", At: at.Add(time.Second)}), false},
		"nor one at a very long place":              {ordered, "id-iad", "", with(v1alpha1.BackupMade{By: "iad", At: at, To: strings.Repeat("x", 2<<10)}), false},
		"nor one in another's name":                 {ordered, "id-iad", "", with(v1alpha1.BackupMade{By: "sin", At: at}), false},
		"nor two":                                   {ordered, "id-iad", "", v1alpha1.BackupRecord{Made: made("fra", "iad", "iad")}, false},
		"nor one in place of those that there were": {ordered, "id-iad", "", v1alpha1.BackupRecord{Made: made("iad")}, false},
		"nor none":                                    {ordered, "id-iad", "", v1alpha1.BackupRecord{}, false},
		"nor does it change one that there was":       {ordered, "id-iad", "", v1alpha1.BackupRecord{Made: made("sin", "iad")}, false},
		"no other member":                             {ordered, "id-fra", "", done, false},
		"no person, not even through it":              {ordered, "id-iad", "anna", done, false},
		"nobody gives itself an order":                {done, "id-iad", "", v1alpha1.BackupRecord{Order: order, Made: done.Made}, false},
		"who made the latest strikes off older ones":  {done, "id-iad", "", v1alpha1.BackupRecord{Made: made("iad")}, true},
		"even with an order that stands":              {v1alpha1.BackupRecord{Order: order, Made: made("fra", "iad")}, "id-iad", "", v1alpha1.BackupRecord{Order: order, Made: made("iad")}, true},
		"but says nothing else with it":               {done, "id-iad", "", v1alpha1.BackupRecord{Made: made("iad"), Failed: &v1alpha1.BackupFailed{By: "fra"}}, false},
		"and puts none in their place":                {v1alpha1.BackupRecord{Made: made("fra", "fra", "iad")}, "id-iad", "", v1alpha1.BackupRecord{Made: made("sin", "iad")}, false},
		"who did not, does not":                       {done, "id-fra", "", v1alpha1.BackupRecord{Made: made("iad")}, false},
		"nobody strikes off the latest":               {done, "id-iad", "", v1alpha1.BackupRecord{Made: made("fra")}, false},
		"nobody adds one that it was not ordered for": {done, "id-iad", "", v1alpha1.BackupRecord{Made: made("fra", "iad", "iad")}, false},
		"nobody lets the record grow without bound":   {full, "id-iad", "", v1alpha1.BackupRecord{Made: append(slices.Clone(full.Made), made("iad")...)}, false},
		"the oldest makes room":                       {full, "id-iad", "", v1alpha1.BackupRecord{Made: append(slices.Clone(full.Made[1:]), made("iad")...)}, true},
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
