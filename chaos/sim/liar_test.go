package sim_test

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/chaos/sim"
	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/internal/virtual"
	"github.com/hanse-fleet/hanse/law"
	"github.com/hanse-fleet/hanse/secrets"
)

// liar is a member that holds the key of the group readers, and writes what it likes of it. What it would write of itself, it does not: see plot.
type liar struct {
	*sim.Member
	*plot
	vault *vault
}

// says writes another status of the group, as its own, before anybody else writes one.
func (l liar) says(change func(*v1alpha1.RecipientGroup)) error {
	l.vault.Helper()
	l.knows()
	kv, _ := l.Core.Store().View().Get(readersKey)
	before := keyOfReaders(l.vault.T, l.Member)
	next := before.DeepCopy()
	change(next)
	op, err := law.Amend(kv, before, next)
	if err != nil {
		l.vault.Fatal(err)
	}
	return l.proposes(kv, op)
}

// tells writes another record of how a secret is sealed.
func (l liar) tells(name string, change func(*v1alpha1.Sealing)) error {
	l.vault.Helper()
	l.knows()
	now := l.Core.Store().View()
	record, key := sealingAs(l.vault.T, now, name)
	change(&record)
	op, err := law.Put(key, record)
	if err != nil {
		l.vault.Fatal(err)
	}
	kv, _ := now.Get(key)
	return l.proposes(kv, op)
}

func (l liar) knows() {
	l.vault.fleet.Await("the liar knows all that there is", time.Minute, func() bool {
		return l.Core.Store().View().Revision() >= l.vault.fleet.Leader().Core.Store().View().Revision()
	})
}

// sealingAs is what a state has of how a secret is sealed, and where.
func sealingAs(t *testing.T, s *store.View, name string) (record v1alpha1.Sealing, key string) {
	t.Helper()
	var fs v1alpha1.FleetSecret
	kv, _ := s.Get(v1alpha1.KeyFleetSecrets + name)
	if err := json.Unmarshal(kv.Value, &fs); err != nil {
		t.Fatal(err)
	}
	record, _ = sealingOf(s, fs)
	return record, v1alpha1.KeySealings + fs.RevisionName()
}

// proposes writes in the place of what is there, if the law lets it.
func (l liar) proposes(kv store.KV, op store.Op) error {
	l.vault.Helper()
	txn := store.Txn{If: []store.Condition{store.KeyAt(kv.Key, kv.Modified)}, Then: []store.Op{op}}
	text, err := json.Marshal(txn.Then)
	if err != nil {
		l.vault.Fatal(err)
	}
	l.mu.Lock()
	l.verdicts[idOf(text, l.Name)] = true // the law alone judges it
	l.mu.Unlock()
	ctx, cancel := context.WithTimeout(l.vault.Context(), time.Minute)
	defer cancel()
	_, err = l.Core.Node().Propose(ctx, consensus.Proposal{Txn: txn})
	return err
}

// wraps is a key of the group, wrapped to a recipient.
func (l liar) wraps(to secrets.Recipient, epoch int64, key secrets.Identity) []byte {
	l.vault.Helper()
	wrap, err := secrets.Wrap(to, secrets.Key{Fleet: "sim", Group: "readers", Epoch: epoch}, key)
	if err != nil {
		l.vault.Fatal(err)
	}
	return wrap
}

// lie is a wrap that nobody opens.
var lie = []byte("a lie")

// TestAHolderThatLiesStrandsNobodyAndLetsNobodyIn: mad writes what the law cannot see through. At each revision fra and who recovers open all
// that is sealed, ams does in the end, and no member outside of the group opens any of it, with all that the log has.
func TestAHolderThatLiesStrandsNobodyAndLetsNobodyIn(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		f := sim.New(t, wide)
		defer f.Close()
		p := plotIn(f)
		v, _ := rotating(t, f, 5)
		fra, iad, ams := f.Members[0], f.Members[1], f.Members[2]
		mad := liar{f.Members[4], p, v}
		ids := map[string]secrets.Identity{"fra": ownKey(t, fra), "ams": ownKey(t, ams), "mad": ownKey(t, mad.Member), "": v.own["who recovers"]}
		of := func(cluster string, epoch int64, wrap []byte) v1alpha1.KeyWrap {
			return v1alpha1.KeyWrap{Cluster: cluster, Key: v1alpha1.KeyID(ids[cluster].Recipient().String()), Epoch: epoch, Wrap: wrap, By: "mad"}
		}
		nobodyElse := func() {
			t.Helper()
			v.look()
			keys := reach(iad.Core.Store().View(), ownKey(t, iad))
			for name := range v.values {
				if v.opens(iad.Core.Store().View(), name, keys) {
					t.Fatalf("iad opens %s", name)
				}
			}
		}
		held := func(by ...string) bool {
			g := keyOfReaders(t, iad)
			return slices.Equal(g.Status.Holders(), by)
		}

		delete(v.own, "ams") // it is given what it cannot open, and waits for another one

		// It wraps the key for a member that may not read, under that one's name.
		present := reach(mad.Core.Store().View(), ids["mad"])[2]
		ids["iad"] = ownKey(t, iad)
		err := mad.says(func(g *v1alpha1.RecipientGroup) {
			g.Status.Wraps = append(g.Status.Wraps, of("iad", 2, mad.wraps(ids["iad"].Recipient(), 2, present)))
		})
		if err == nil {
			t.Error("the key is wrapped for a stranger")
		}
		nobodyElse()

		// It makes the next key: fra opens it, ams gets another one, and who recovers gets nothing that opens.
		p.lames("fra", "ams", "mad")
		amend(t, iad, readersKey, func(g *v1alpha1.RecipientGroup) { g.Spec.Rotate++ })
		made, other := newKey(t), newKey(t)
		err = mad.says(func(g *v1alpha1.RecipientGroup) {
			reads := func(cluster, key string) bool {
				id, reads := ids[cluster]
				return reads && cluster != "iad" && key == v1alpha1.KeyID(id.Recipient().String())
			}
			g.Status = law.Rotated(g, reads, law.NewKey{
				By: "mad", Recipient: made.Recipient().String(), Begun: metav1.Time{Time: time.Now().Truncate(time.Second)}, From: 2, Former: mad.wraps(made.Recipient(), 2, present),
				Wraps: []v1alpha1.KeyWrap{
					of("", 3, lie), of("ams", 3, mad.wraps(ids["ams"].Recipient(), 3, other)), of("fra", 3, mad.wraps(ids["fra"].Recipient(), 3, made)), of("mad", 3, mad.wraps(ids["mad"].Recipient(), 3, made)),
				},
			})
		})
		if err != nil {
			t.Fatal(err)
		}
		p.lames("fra", "mad")
		f.Await("ams says that its wrap does not open", time.Minute, func() bool { return held("fra", "mad") })
		if err := mad.says(func(g *v1alpha1.RecipientGroup) { g.Status.Wraps = append(g.Status.Wraps, of("ams", 3, lie)) }); err == nil {
			t.Error("it answers that with another lie, and could so each time")
		}
		p.lames("mad")
		v.until(trial{step: "a key of a liar"}, "all is sealed to it, and its wraps are as they should be", func() bool { return v.kept(iad, 3) && heldBy(t, iad, "ams", "fra", "mad") })
		nobodyElse()
		if g := keyOfReaders(t, iad); g.Status.By != "mad" {
			t.Errorf("%s made the key: it is not the liar's", g.Status.By)
		}
		v.nothingIsLost(iad, fra, ams)
		if _, opens := reach(iad.Core.Store().View(), ids[""])[3]; !opens {
			t.Error("who recovers does not open the liar's key")
		}

		// Another person is named who recovers, and it is the first that wraps the key for that one.
		p.lames("fra", "ams", "mad")
		late := newKey(t)
		amend(t, iad, readersKey, func(g *v1alpha1.RecipientGroup) {
			g.Spec.RecoveryRecipients = append(g.Spec.RecoveryRecipients, late.Recipient().String())
		})
		ids[""] = late
		if err := mad.says(func(g *v1alpha1.RecipientGroup) { g.Status.Wraps = append(g.Status.Wraps, of("", 3, lie)) }); err != nil {
			t.Fatal(err)
		}
		again := func(g *v1alpha1.RecipientGroup) {
			g.Status.Wraps[len(g.Status.Wraps)-1].Second = &v1alpha1.SecondWrap{By: "mad", Wrap: lie}
		}
		if err := mad.says(again); err == nil {
			t.Error("it is its own second")
		}
		p.lames("ams", "mad") // whose turn it is does nothing
		v.until(trial{step: "a wrap of a liar"}, "a second member has wrapped it for that one", func() bool {
			return !slices.ContainsFunc(keyOfReaders(t, iad).Status.Wraps, func(w v1alpha1.KeyWrap) bool { return w.WantsSecond() })
		})
		if _, opens := reach(iad.Core.Store().View(), late)[3]; !opens {
			t.Error("who recovers since does not open it")
		}
		p.lames("mad")
		nobodyElse()

		had := ids["mad"]

		// It makes a key that nobody else opens, answers no strike, and stays: another one makes the next key from the one before.
		p.lames("fra", "ams", "mad")
		amend(t, iad, readersKey, func(g *v1alpha1.RecipientGroup) { g.Spec.Rotate++ })
		alone := newKey(t)
		err = mad.says(func(g *v1alpha1.RecipientGroup) {
			reads := func(cluster, _ string) bool { return cluster != "iad" }
			g.Status = law.Rotated(g, reads, law.NewKey{
				By: "mad", Recipient: alone.Recipient().String(), Begun: metav1.Time{Time: time.Now().Truncate(time.Second)}, From: 3, Former: mad.wraps(alone.Recipient(), 3, made),
			})
			for _, w := range g.Status.Wraps {
				if w.Epoch, w.By, w.Wrap, w.Second = 4, "mad", lie, nil; w.Cluster == "mad" {
					w.Wrap = mad.wraps(had.Recipient(), 4, alone)
				}
				g.Status.Wraps = append(g.Status.Wraps, w)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		p.lames("mad")
		v.until(trial{step: "a key of a liar alone"}, "all is sealed to another one", func() bool { return v.kept(iad, 5) && held("ams", "fra", "mad") })
		nobodyElse()

		// It is found out, and removed: nobody who has what it had opens what is sealed afterwards.
		mad.Kill()
		remove(t, iad, "mad")
		v.until(trial{step: "the liar is removed"}, "all is sealed to another key", func() bool { return v.kept(iad, 6) })
		nobodyElse()
		for _, sealed := range sealedAfter(t, iad.Core.Store().View(), 5) {
			for _, key := range append(values(reach(iad.Core.Store().View(), had)), made, had) {
				if _, err := secrets.Open(key, targetOf(sealed.name), sealed.data); err == nil {
					t.Errorf("the liar opens %s", sealed.name)
				}
			}
		}
		v.nothingIsLost(iad, fra, ams)
	})
}

// TestAHolderThatLiesKeepsNoTwoFromAgreeing: ams seals again, and mad puts a lie in the place of that. Then fra writes, as ams has had its word with this
// key, and mad, too: ams confirms it.
func TestAHolderThatLiesKeepsNoTwoFromAgreeing(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		f := sim.New(t, wide)
		defer f.Close()
		p := plotIn(f)
		v, _ := rotating(t, f, 2)
		fra, iad, ams := f.Members[0], f.Members[1], f.Members[2]
		mad := liar{f.Members[4], p, v}
		names := slices.Sorted(maps.Keys(v.values))
		all := func(is func(v1alpha1.Sealing) bool) bool {
			return !slices.ContainsFunc(names, func(name string) bool {
				record, _ := sealingAs(t, iad.Core.Store().View(), name)
				return record.Epoch != 3 || !is(record)
			})
		}
		p.lames("fra", "mad")
		amend(t, iad, readersKey, func(g *v1alpha1.RecipientGroup) { g.Spec.Rotate++ })
		v.until(trial{step: "values are sealed again"}, "ams has done so", func() bool { return all(func(r v1alpha1.Sealing) bool { return r.By == "ams" }) })
		lies := func(r *v1alpha1.Sealing) {
			was := *r
			r.By, r.Instead, r.Data = "mad", was.By, lie
			r.Was, r.Words = was.Leaves("mad", was.Epoch, 1)
		}
		for _, name := range names {
			if err := mad.tells(name, lies); err != nil {
				t.Fatal(err)
			}
		}
		p.lames("mad")
		v.until(trial{step: "a liar sealed again"}, "fra has, in its place", func() bool { return all(func(r v1alpha1.Sealing) bool { return r.By == "fra" }) })
		for _, name := range names {
			if record, _ := sealingAs(t, iad.Core.Store().View(), name); record.Confirmed == "" {
				if err := mad.tells(name, lies); err == nil {
					t.Error("it takes a place for the second time with one key")
				}
			}
		}
		v.until(trial{step: "a liar sealed again"}, "all is confirmed", func() bool { return v.kept(iad, 3) })
		if !all(func(r v1alpha1.Sealing) bool {
			return r.By == "fra" && r.Confirmed == "ams" && r.Words == nil && r.Witness != ""
		}) {
			t.Error("fra and ams do not agree")
		}
		v.nothingIsLost(iad, fra, ams)
	})
}
