package law

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// TestAGroupGoesHoweverMuchIsKnownOfItsPast: what is known of 5,000 revisions is more than one transaction takes. It is nothing once the group has gone, and
// there is no other one of the name before it is deleted: that counts its keys anew.
func TestAGroupGoesHoweverMuchIsKnownOfItsPast(t *testing.T) {
	const many = 5000
	r := keyed(t)
	var ops []store.Op
	for i := range many {
		ops = append(ops, r.put(fmt.Sprintf("%ssecret.db-u-db-%d", v1alpha1.KeySealings, i), v1alpha1.Sealing{Group: "readers", Found: 1, Epoch: 3, By: "fra"}))
	}
	other := v1alpha1.KeySealings + "secret.other-u-o-1"
	for some := range slices.Chunk(append(ops, r.put(other, v1alpha1.Sealing{Group: "empty", Epoch: 1}), store.Put(other+"1", []byte("{"))), 1000) {
		r.says(some...)
	}
	remove := r.whole(store.Delete(v1alpha1.KeyRecipientGroups + "readers"))
	command := store.Command{ID: store.CommandID{Incarnation: "id-fra", Seq: 1}, Proposer: "id-fra", Txn: &store.Txn{Then: remove}}
	if size, err := command.Size(); err != nil || size > store.MaxEntry || len(remove) > store.MaxOps {
		t.Fatalf("it takes %d ops in %d bytes: %v", len(remove), size, err)
	}
	if SealingAt(r.store.View(), "secret.db-u-db-7") == nil {
		t.Error("nothing is known while the group is there")
	}
	if err := r.try("id-fra", "anna", 0, remove...); err != nil {
		t.Fatal(err)
	}
	if left := SealingAt(r.store.View(), "secret.db-u-db-7"); left != nil {
		t.Errorf("the group has gone, and it counts: %+v", left)
	}
	another := group("readers", "yes")
	another.UID = "u-another"
	again := r.put(v1alpha1.KeyRecipientGroups+"readers", another)
	refused := func() {
		t.Helper()
		for who, as := range map[string]uint64{"anna": 0, "": term} {
			if err := r.try("id-fra", who, as, again); err == nil || !strings.Contains(err.Error(), "group readers was deleted, and how revision secret.db-u-db-") {
				t.Errorf("another group has what was told of the keys of the one before, by %q: %v", who, err)
			}
		}
	}
	refused()
	for i, op := range ops {
		ops[i] = store.Delete(op.Key)
	}
	r.says(ops[:4000]...)
	refused()
	r.says(ops[4000:]...)
	if err := r.try("id-fra", "anna", 0, r.whole(again)...); err != nil {
		t.Error(err)
	}
	if n := r.store.View().Count(v1alpha1.KeySealings); n != 2 {
		t.Errorf("%d are left", n)
	}
}

// TestWhatIsToldOfAGroupIsOfNoEarlierOne: whatever is asked for, and in whatever order the leader deletes what is left.
func TestWhatIsToldOfAGroupIsOfNoEarlierOne(t *testing.T) {
	names, anew, toldAnew := []string{"readers", "empty"}, 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		r := keyed(t)
		r.says(r.group("empty", func(g *v1alpha1.RecipientGroup) { g.Spec.ClusterSelector.MatchLabels["reads"] = "yes" }))
		for i, name := range append(names, names...) { // two revisions of each
			s := secret(fmt.Sprint("db", i))
			s.Spec.Group = name
			key := v1alpha1.KeyFleetSecrets + s.Name
			for _, op := range [][]store.Op{{r.put(key, s)}, {store.Delete(key)}} { // the revision stays
				if err := r.try("id-fra", "otto", 0, r.whole(op...)...); err != nil {
					rt.Fatal(err)
				}
			}
		}
		again := map[string]bool{}
		rt.Repeat(map[string]func(*rapid.T){
			"an admin deletes a group": func(rt *rapid.T) {
				name := rapid.SampledFrom(names).Draw(rt, "group")
				key := v1alpha1.KeyRecipientGroups + name
				if _, there := r.store.View().Get(key); !there {
					rt.Skip("it is not there")
				}
				if err := r.try("id-fra", "anna", 0, r.whole(store.Delete(key))...); err != nil {
					rt.Fatal(err)
				}
				again[name] = false
			},
			"an admin makes one": func(rt *rapid.T) {
				name := rapid.SampledFrom(names).Draw(rt, "group")
				if _, there := r.store.View().Get(v1alpha1.KeyRecipientGroups + name); there {
					rt.Skip("it is there")
				}
				left, another := Left(r.store.View(), v1alpha1.KeyRecipientGroups+name), group(name, "yes")
				anew++
				another.UID = types.UID(fmt.Sprint("u-", anew))
				err := r.try("id-fra", "anna", 0, r.put(v1alpha1.KeyRecipientGroups+name, another))
				if (err == nil) != (left == "") {
					rt.Fatalf("of one of its name there is %q: %v", left, err)
				}
				again[name] = err == nil
			},
			"a member makes its key": func(rt *rapid.T) {
				name := rapid.SampledFrom(names).Draw(rt, "group")
				if _, there := r.store.View().Get(v1alpha1.KeyRecipientGroups + name); there {
					r.tryBare("id-fra", "", 0, r.group(name, made("fra"))) // it may have one
				}
			},
			"a member tells how a revision is sealed": func(rt *rapid.T) {
				i := rapid.IntRange(0, 3).Draw(rt, "secret")
				s := v1alpha1.Sealing{Group: names[i%2], Found: 1, Epoch: 1, By: "fra"}
				if r.tryBare("id-fra", "", 0, r.put(fmt.Sprintf("%ssecret.db%d-u-db%[2]d-1", v1alpha1.KeySealings, i), s)) == nil && again[s.Group] {
					toldAnew++
				}
			},
			"the leader deletes something that is left": func(rt *rapid.T) {
				for _, kv := range r.store.View().List(v1alpha1.KeySealings) {
					if SealingAt(r.store.View(), strings.TrimPrefix(kv.Key, v1alpha1.KeySealings)) == nil && rapid.Bool().Draw(rt, "this") {
						r.says(store.Delete(kv.Key))
						return
					}
				}
			},
			"": func(rt *rapid.T) {
				v := r.store.View()
				for kv := range v.Iterate(v1alpha1.KeySealings, "") {
					s := SealingAt(v, strings.TrimPrefix(kv.Key, v1alpha1.KeySealings))
					if s == nil {
						continue
					}
					if g, _ := v.Get(v1alpha1.KeyRecipientGroups + s.Group); kv.Created <= g.Created {
						rt.Fatalf("%s was told at %d, and counts for a group of %d", kv.Key, kv.Created, g.Created)
					}
				}
			},
		})
	})
	if toldAnew == 0 {
		t.Error("nothing was told of a group that was made anew")
	}
}
