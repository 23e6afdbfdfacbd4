package epoch

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

func TestForWhichGroupsTheFirstMemberOpensNothing(t *testing.T) {
	v := fleet(t)
	v = sealed(t, v, "all", "fra", "iad", "sin")
	v = sealed(t, v, "iads", "iad")
	v = sealed(t, v, "kept", "iad", "")
	v = sealed(t, v, "nobodys")
	v = sealed(t, v, "open", "iad")
	v = sealed(t, v, "own", "fra")
	v = state(t, v, store.Delete(v1alpha1.KeyFleetSecrets+"db-open")) // nothing is sealed for it
	shut := func(group string, change func(*Shut)) Shut {
		s := Shut{Group: group, Secrets: []string{"db-" + group}}
		if change != nil {
			change(&s)
		}
		return s
	}
	by := func(names ...string) func(*Shut) { return func(s *Shut) { s.By = names } }
	own := func(s *Shut) { s.Own = true }
	recovery := func(s *Shut) { s.Recovery = true }
	both := func(s *Shut) { s.By, s.Own = []string{"iad", "sin"}, true }
	iadOr := func(s *Shut) { s.By, s.Recovery = []string{"iad"}, true }
	for name, tt := range map[string]struct {
		s    Succession
		want []Shut
		lost []string
	}{
		"with its key":              {Succession{Recipient: "of fra"}, []Shut{shut("iads", by("iad")), shut("kept", iadOr)}, nil},
		"with its key, iad is lost": {Succession{Recipient: "of fra", Lost: []string{"iad"}}, []Shut{shut("iads", nil), shut("kept", recovery)}, []string{"iads"}},
		"without it":                {Succession{}, []Shut{shut("all", both), shut("iads", by("iad")), shut("kept", iadOr), shut("own", own)}, []string{"own"}},
		"with another one":          {Succession{Recipient: "of iad"}, []Shut{shut("all", both), shut("iads", by("iad")), shut("kept", iadOr), shut("own", own)}, []string{"own"}},
		"under another name": {Succession{Recipient: "of fra", Renamed: true}, []Shut{shut("all", nil), shut("iads", nil), shut("kept", recovery), shut("own", nil)},
			[]string{"all", "iads", "own"}},
	} {
		t.Run(name, func(t *testing.T) {
			tt.s.Heir = memberOf("fra")
			got := tt.s.Shut(v)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			var lost []string
			for _, s := range got {
				if s.Lost() {
					lost = append(lost, s.Group)
				}
			}
			if diff := cmp.Diff(tt.lost, lost); diff != "" {
				t.Error(diff)
			}
		})
	}
}
