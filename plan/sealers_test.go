package plan

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// sealing is a group whose second key some clusters hold, all of it, and what is known of the revisions that are sealed for it.
type sealing struct {
	group *v1alpha1.RecipientGroup
	of    Candidates
	known map[string]*v1alpha1.Sealing
}

func newSealing(clusters ...string) *sealing {
	s := &sealing{group: &v1alpha1.RecipientGroup{ObjectMeta: metav1.ObjectMeta{Name: "g"}, Spec: v1alpha1.RecipientGroupSpec{ClusterSelector: &metav1.LabelSelector{}}, Status: v1alpha1.RecipientGroupStatus{Epoch: 2}}, known: map[string]*v1alpha1.Sealing{}}
	for _, name := range clusters {
		s.of.Clusters = append(s.of.Clusters, &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: v1alpha1.ClusterStatus{Recipient: "of " + name}})
		s.group.Status.Wraps = append(s.group.Status.Wraps, v1alpha1.KeyWrap{Cluster: name, Key: v1alpha1.KeyID("of " + name), Epoch: 2, Wrap: []byte("wrapped")})
	}
	return s
}

func (s *sealing) due() map[SealDue]map[string]bool {
	all := map[SealDue]map[string]bool{}
	for name, known := range s.known {
		if due := SealDueOf(2, known, false); due.Work != SealKept {
			if all[due] == nil {
				all[due] = map[string]bool{}
			}
			all[due][name] = true
		}
	}
	return all
}

// told is what is known of those of which anything is.
func (s *sealing) told() iter.Seq[*v1alpha1.Sealing] {
	return func(yield func(*v1alpha1.Sealing) bool) {
		for _, known := range s.known {
			if known != nil && !yield(known) {
				return
			}
		}
	}
}

// does has a member do some of what is its to do, but nothing of some kind.
func (s *sealing) does(self string, sealers Sealers, idle map[SealWork]bool, most int) {
	all := s.due()
	for _, due := range slices.SortedFunc(maps.Keys(all), func(a, b SealDue) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) }) {
		work, _ := sealers.Work(due)
		for _, name := range slices.Sorted(maps.Keys(all[due])) {
			switch {
			case idle[work] || most == 0:
				continue
			case work == SealAgain:
				s.known[name] = &v1alpha1.Sealing{Group: "g", Found: 1, Epoch: 2, By: self}
			case work == SealConfirm:
				s.known[name].Confirmed, s.known[name].Witness = self, self
			default:
				continue
			}
			most--
		}
	}
}

func TestWhoIsWaitedForAndWhatItHasDone(t *testing.T) {
	s := newSealing("ams", "fra", "sin")
	type told = map[string]*v1alpha1.Sealing
	type done = map[string]int
	by := func(cluster, confirmed string) *v1alpha1.Sealing {
		return &v1alpha1.Sealing{Group: "g", Found: 1, Epoch: 2, By: cluster, Confirmed: confirmed, Witness: confirmed}
	}
	before, another, instead := by("ams", "fra"), by("ams", "fra"), by("fra", "")
	before.Epoch, another.Group, instead.Instead = 1, "other", "ams"
	for name, c := range map[string]struct {
		known         told
		self, away    string
		seal, confirm done
	}{
		"nothing is due":                          {told{"a": by("ams", "fra")}, "sin", "", done{}, done{}},
		"what nobody sealed":                      {told{"a": nil, "b": nil}, "sin", "", done{"ams": 0}, done{}},
		"what is its own to seal waits for none":  {told{"a": nil, "b": nil}, "ams", "", done{}, done{}},
		"one seals, and the other does nothing":   {told{"a": nil, "b": by("ams", ""), "c": by("ams", "")}, "sin", "", done{"ams": 2}, done{"fra": 0}},
		"it confirms, and ams does nothing":       {told{"a": nil, "b": by("sin", "fra"), "c": by("ams", "")}, "sin", "", done{"ams": 1}, done{"fra": 1}},
		"each confirms what the other one sealed": {told{"a": by("fra", ""), "b": by("ams", ""), "c": by("ams", "fra")}, "sin", "", done{}, done{"ams": 0, "fra": 1}},
		"what it wrote anew it was to confirm":    {told{"a": by("ams", ""), "b": nil, "c": instead}, "sin", "ams", done{"fra": 0}, done{"fra": 1}},
		"the key before":                          {told{"a": nil, "b": before}, "sin", "", done{"ams": 0}, done{}},
		"what is of another group":                {told{"a": nil, "b": another}, "sin", "", done{"ams": 0}, done{}},
		"nobody is there that could":              {told{"a": by("ams", "")}, "ams", "fra sin", done{}, done{}},
	} {
		s.known = c.known
		sealers, err := SealersOf(s.group, s.of, c.self, func(cluster string) bool { return !strings.Contains(c.away, cluster) })
		if err != nil {
			t.Fatal(err)
		}
		seal, confirm := sealers.Waiting(maps.All(s.due()), s.told())
		if diff := cmp.Diff([]done{c.seal, c.confirm}, []done{seal, confirm}); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestAllIsSealedAndConfirmedWhoeverIsStuck has members of a group seal again and confirm, each as fast as it is, in any life in which two of them do what is
// theirs, and the others leave one kind of it or both. In the end all is done. And where one alone confirms nothing, or does nothing at all, nobody passes over another
// one, as long as nobody waits for that one again.
func TestAllIsSealedAndConfirmedWhoeverIsStuck(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		clusters := []string{"ams", "fra", "iad", "sin"}
		s := newSealing(clusters...)
		idle, turns, most := map[string]map[SealWork]bool{}, map[string]*Turns{}, map[string]int{}
		for _, name := range clusters {
			idle[name], turns[name], most[name] = map[SealWork]bool{}, &Turns{}, rapid.IntRange(1, 20).Draw(t, "speed of "+name)
		}
		stuck := rapid.Permutation(clusters).Draw(t, "stuck")[:rapid.IntRange(0, 2).Draw(t, "of them")]
		for _, name := range stuck {
			idle[name][SealAgain], idle[name][SealConfirm] = rapid.Bool().Draw(t, name+" seals nothing"), rapid.Bool().Draw(t, name+" confirms nothing")
		}
		alone := len(stuck) == 0 || len(stuck) == 1 && idle[stuck[0]][SealConfirm]
		begun := time.Unix(9000, 0)
		more := map[int]int{0: rapid.IntRange(1, 100).Draw(t, "revisions"), rapid.IntRange(1, 60).Draw(t, "later"): rapid.IntRange(0, 30).Draw(t, "more")}
		for look := 0; look < 6*60 && (look <= 60 || len(s.due()) > 0); look++ {
			for i := range more[look] {
				s.known[fmt.Sprint(look, " ", i)] = nil
			}
			now := begun.Add(time.Duration(look) * 10 * time.Second)
			for _, self := range clusters {
				sealers, err := SealersOf(s.group, s.of, self, func(cluster string) bool { return !turns[self].Stuck(cluster, now) })
				if err != nil {
					t.Fatal(err)
				}
				seal, confirm := sealers.Waiting(maps.All(s.due()), s.told())
				for work, done := range map[SealWork]map[string]int{SealAgain: seal, SealConfirm: confirm} {
					for _, passed := range turns[self].Waits(fmt.Sprint(work), 2, done, now) {
						if alone && !idle[passed][work] && now.Sub(begun) < passedOver {
							t.Fatalf("%s: %s does what is its to do, and %s passes it over for %d", now.Sub(begun), passed, self, work)
						}
					}
				}
				s.does(self, sealers, idle[self], most[self])
			}
		}
		if left := s.due(); len(left) > 0 {
			t.Fatalf("after an hour %v are left", left)
		}
	})
}
