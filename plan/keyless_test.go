package plan_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/plan"
)

// sealed lets a bundle be sealed for a group, which has a key in the clusters that there are.
func (w *world) seal(bundle string) {
	w.group = &v1alpha1.RecipientGroup{ObjectMeta: metav1.ObjectMeta{Name: "readers"}}
	w.sealed = bundle
	w.rekey()
	w.wrap("")
}

// rekey gives the group another key: all get it who held the one before.
func (w *world) rekey() {
	s := &w.group.Status
	s.Epoch++
	s.Wraps = slices.DeleteFunc(s.Wraps, func(k v1alpha1.KeyWrap) bool {
		return w.clusters[k.Cluster] == nil || k.Key != v1alpha1.KeyID(w.recipient(k.Cluster))
	})
	for i := range s.Wraps {
		s.Wraps[i].Epoch = s.Epoch
	}
}

// wrap gives the key to the clusters whose names have a beginning.
func (w *world) wrap(beginning string) {
	for _, name := range slices.Sorted(maps.Keys(w.clusters)) {
		if strings.HasPrefix(name, beginning) && w.keyless(w.sealed, name) {
			w.group.Status.Wraps = append(w.group.Status.Wraps, v1alpha1.KeyWrap{Cluster: name, Key: v1alpha1.KeyID(w.recipient(name)), Epoch: w.group.Status.Epoch, Wrap: []byte("key")})
		}
	}
}

// recipient is a cluster's own: it has another one when it has lost its key.
func (w *world) recipient(cluster string) string {
	return fmt.Sprintf("%s-%d", cluster, w.clusters[cluster].lostKeys)
}

func (w *world) keyless(bundle, cluster string) bool {
	return w.group != nil && bundle == w.sealed && w.clusters[cluster] != nil && !w.group.Holds(cluster, w.recipient(cluster))
}

// judgeKey says whether a grant gives a cluster what it cannot open, that may do nothing that it was granted before; or takes from it what it
// is to have.
func (w *world) judgeKey(bundle, cluster string, g v1alpha1.Grant) {
	b := w.bundles[bundle]
	picked := b != nil && (len(b.Spec.Placement.Clusters) == 0 || slices.Contains(b.Spec.Placement.Clusters, cluster))
	switch {
	case bundle == w.sealed && w.unread != "" && !g.Held:
		w.blind = append(w.blind, fmt.Sprintf("%s is granted %s, while the %s cannot be read", cluster, grantText(g), w.unread))
	case !w.keyless(bundle, cluster):
	case !g.Withdraw && !g.Held && !w.mayAct(bundle, cluster):
		w.blind = append(w.blind, fmt.Sprintf("%s is granted %s, which it cannot open", cluster, grantText(g)))
	case g.Withdraw && !g.Held && picked && g.BundleUID == string(b.UID) && w.placed(b, cluster):
		w.blind = append(w.blind, fmt.Sprintf("%s is to lose %s, which it is to have", cluster, bundle))
	}
}

// readable is a bundle as it is read; nil: it cannot be.
func (w *world) readable(b *v1alpha1.Bundle) *v1alpha1.Bundle {
	switch {
	case b.Name != w.sealed || w.unread == "":
		return b
	case w.unread == "secret":
		return nil
	}
	b = b.DeepCopy()
	b.Spec.Placement = (&v1alpha1.FleetSecret{}).AsBundle(nil).Spec.Placement
	return b
}

// placed says that the placement lets a bundle stay where it is.
func (w *world) placed(b *v1alpha1.Bundle, cluster string) bool {
	s := w.situation()
	picked, err := plan.Picks(b.Spec.Placement, s.Ground(b.Name))
	return err == nil && slices.Contains(picked, cluster)
}

func TestWhoHoldsNoKeyIsOwedAndBlocksNothing(t *testing.T) {
	keyed := func(t *testing.T) *world {
		w := newWorld(t, "ap1", "eu1", "us1")
		w.seal("secret.db")
		w.apply("secret.db")
		w.settle()
		w.is("ap1 secret.db 1", "eu1 secret.db 1", "us1 secret.db 1")
		return w
	}
	const noKey = "no key of group readers for eu2 yet: a cluster that holds it wraps it once it is there (hanse get recipientgroups)"
	t.Run("who joins gets it with the key", func(t *testing.T) {
		w := keyed(t)
		w.join("eu2")
		w.settle()
		w.is("ap1 secret.db 1", "eu1 secret.db 1", "us1 secret.db 1")
		w.apply("secret.db")
		w.settle()
		w.is("ap1 secret.db 2", "eu1 secret.db 2", "us1 secret.db 2")
		r := w.newest("secret.db")
		if want := "every cluster is healthy; owed to eu2; " + noKey; r.Status.Message != want || r.Status.Phase != v1alpha1.RolloutComplete {
			t.Errorf("the rollout is %s: %s\nwant %s", r.Status.Phase, r.Status.Message, want)
		}
		s := w.situation()
		if c := s.BundleStatus(w.bundles["secret.db"]).Conditions[0]; c.Message != "waiting for eu2; "+noKey {
			t.Error(c.Message)
		}
		w.wrap("eu2")
		w.pass()
		if r := w.newest("secret.db"); len(r.Spec.Waves) != 1 || !in(r.Spec.Waves[0], "eu2") || !slices.Equal(r.Status.InChange, []string{"eu"}) {
			t.Errorf("it gets it as %+v, with %v in change", r.Spec.Waves, r.Status.InChange)
		}
		w.settle()
		w.is("ap1 secret.db 2", "eu1 secret.db 2", "eu2 secret.db 2", "us1 secret.db 2")
	})
	t.Run("it comes late to a rollout that runs", func(t *testing.T) {
		w := keyed(t)
		w.join("us2")
		w.apply("secret.db")
		w.rest()
		w.is("ap1 secret.db 2", "eu1 secret.db 1", "us1 secret.db 1", "secret.db-00000001-2 Running [ap]: wave 1 of 3, ap: waits for ap1")
		if owed := w.newest("secret.db").Status.Owed; !slices.Equal(owed, []string{"us2"}) {
			t.Errorf("owed are %v", owed)
		}
		w.wrap("us2")
		w.settle()
		w.is("ap1 secret.db 2", "eu1 secret.db 2", "us1 secret.db 2", "us2 secret.db 2")
		if all := len(w.rollouts); all != 2 {
			t.Errorf("there are %d rollouts", all)
		}
	})
	t.Run("another key takes nothing from anybody", func(t *testing.T) {
		w := keyed(t)
		before := w.index
		w.rekey()
		w.settle()
		w.clusters["eu1"].lostKeys++
		w.rekey()
		w.settle()
		if w.index != before {
			t.Errorf("something was written:\n%s", w)
		}
		w.apply("secret.db")
		w.settle()
		w.is("ap1 secret.db 2", "eu1 secret.db 1", "us1 secret.db 2")
		w.wrap("eu1")
		w.settle()
		w.is("ap1 secret.db 2", "eu1 secret.db 2", "us1 secret.db 2")
	})
	t.Run("it is taken away without a key", func(t *testing.T) {
		w := keyed(t)
		w.clusters["eu1"].lostKeys++
		w.apply("secret.db", "ap1", "us1")
		w.settle()
		w.is("ap1 secret.db 2", "us1 secret.db 2")
	})
	t.Run("of a group without a key nobody gets anything", func(t *testing.T) {
		w := newWorld(t, "ap1", "eu1")
		w.group, w.sealed = &v1alpha1.RecipientGroup{ObjectMeta: metav1.ObjectMeta{Name: "readers"}}, "secret.db"
		w.apply("secret.db")
		w.apply("shop")
		w.settle()
		w.is("ap1 shop 1", "eu1 shop 1")
	})
}

// What cannot be read is left as it is, and keeps nobody else waiting; what was granted of it is still looked after.
func TestWhatCannotBeReadStaysAsItIs(t *testing.T) {
	for _, unread := range []string{"group", "secret"} {
		t.Run(unread, func(t *testing.T) {
			w := newWorld(t, "ap1", "eu1")
			w.seal("secret.db")
			w.apply("secret.db")
			w.settle()
			w.apply("secret.db")
			w.rest() // granted in ap, and not run there yet
			w.unread = unread
			w.apply("shop")
			w.settle()
			w.is("ap1 secret.db 2", "eu1 secret.db 1", "ap1 shop 1", "eu1 shop 1", "secret.db-00000001-2 Running []: it cannot be granted: "+unread+" cannot be read")
			s := w.situation()
			if unread == "group" {
				c := s.BundleStatus(s.Bundles[0]).Conditions[0]
				if c.Status != metav1.ConditionUnknown || c.Reason != v1alpha1.ReasonUnreadable || c.Message != "group cannot be read" {
					t.Errorf("its condition is %+v", c)
				}
			}
			w.unread = ""
			w.settle()
			w.is("ap1 secret.db 2", "eu1 secret.db 2", "ap1 shop 1", "eu1 shop 1")
			if len(w.blind) > 0 {
				t.Error(w.blind)
			}
		})
	}
	t.Run("it is taken away by nobody", func(t *testing.T) {
		w := newWorld(t, "ap1", "eu1")
		w.seal("secret.db")
		w.apply("secret.db")
		w.settle()
		for _, w.unread = range []string{"group", "secret"} {
			before := w.index
			w.later(time.Hour)
			if w.settle(); w.index != before {
				t.Errorf("while the %s cannot be read, something was written:\n%s", w.unread, w)
			}
		}
	})
}

func in(w v1alpha1.Wave, cluster string) bool { return slices.Contains(w.Clusters, cluster) }

// sealing lets a life have a bundle that is sealed, and clusters that lose their keys, lack them, and get them.
func sealing(t *rapid.T, w *world) {
	w.seal("till")
	w.keys = func(t *rapid.T) {
		switch c := rapid.SampledFrom(slices.Sorted(maps.Keys(w.clusters))).Draw(t, "cluster"); rapid.SampledFrom([]string{"rekey", "lose", "lose", "wrap", "garble"}).Draw(t, "key") {
		case "garble":
			w.unread = rapid.SampledFrom([]string{"", "", "group", "secret"}).Draw(t, "unread")
		case "rekey":
			w.rekey()
		case "lose":
			w.clusters[c].lostKeys++
		case "wrap":
			w.wrap(c)
		}
	}
}

func TestNobodyIsGrantedWhatItCannotOpen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := live(t, plan.Decide, inParts, sealing)
		for _, wrong := range slices.Concat(w.blind, w.wrong) {
			t.Fatalf("%s\n%s", wrong, w)
		}
		ends := func() bool {
			for range 600 {
				w.heal()
				for range 20 {
					if !w.pass() {
						break
					}
				}
				w.obeyAll()
				if w.later(time.Second); w.allEnded() {
					return true
				}
			}
			return false
		}
		if !ends() {
			t.Fatalf("who has no key holds others up\n%s", w)
		}
		w.wrap("")
		w.pass()
		if !ends() {
			t.Fatalf("not all end once all have the key\n%s", w)
		}
		if slices.Concat(w.blind, w.wrong) != nil {
			t.Fatalf("%s %s\n%s", w.blind, w.wrong, w)
		}
		w.everybodyHasIt(t)
	})
}

// Were what cannot be read taken for what is nowhere, the judge must find something.
func TestAGrantOfWhatCannotBeReadIsCaught(t *testing.T) {
	caught := 0
	for seed := range 100 {
		life := rapid.Custom(func(t *rapid.T) bool {
			return len(live(t, func(s plan.Situation) []plan.Step { s.Unread = nil; return plan.Decide(s) }, sealing).blind) > 0
		})
		if life.Example(seed) {
			caught++
		}
	}
	if t.Logf("caught in %d of 100 lives", caught); caught == 0 {
		t.Error("nothing caught it")
	}
}

// Without the keys in the situation, the judge must find something.
func TestAGrantToWhoHasNoKeyIsCaught(t *testing.T) {
	caught := 0
	for seed := range 100 {
		life := rapid.Custom(func(t *rapid.T) bool {
			return len(live(t, func(s plan.Situation) []plan.Step { s.Sealed = nil; return plan.Decide(s) }, sealing).blind) > 0
		})
		if life.Example(seed) {
			caught++
		}
	}
	if t.Logf("caught in %d of 100 lives", caught); caught == 0 {
		t.Error("nothing caught it")
	}
}
