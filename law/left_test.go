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
			if err := r.try("id-fra", who, as, again); err == nil || !strings.Contains(err.Error(), "recipient group readers was deleted, and how revision secret.db-u-db-") {
				t.Errorf("another group has what was told of the keys of the one before, by %q: %v", who, err)
			}
		}
	}
	refused()
	v, key := r.store.View(), v1alpha1.KeyRecipientGroups+"readers"
	if all, asked := testing.AllocsPerRun(1, func() { Leavings(v, key) }), testing.AllocsPerRun(1, func() { Anew(v, key) }); asked > all/100 {
		t.Errorf("whether something is left takes %.0f allocations, and to know all of it %.0f", asked, all)
	}
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
	if err := r.tryBare("id-fra", "", 0, r.group("readers", made("fra"))); err != nil {
		t.Fatal(err)
	}
	r.seals("db", 1, "readers")
	if err := r.tryBare("id-fra", "", 0, r.put(v1alpha1.KeySealings+"secret.db-u-db-1", v1alpha1.Sealing{Group: "readers", Found: 1, Epoch: 1, By: "fra"})); err != nil {
		t.Fatal(err)
	}
	if told := SealingAt(r.store.View(), "secret.db-u-db-1"); told == nil || told.Epoch != 1 {
		t.Errorf("of the other group %+v is known", told)
	}
}

// TestWhatIsToldOfAGroupIsOfNoEarlierOne: whatever is asked for, and in whatever order the leader deletes what is left.
func TestWhatIsToldOfAGroupIsOfNoEarlierOne(t *testing.T) {
	names, anew := []string{"readers", "empty"}, 0
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
			},
			"an admin makes one": func(rt *rapid.T) {
				name := rapid.SampledFrom(names).Draw(rt, "group")
				if _, there := r.store.View().Get(v1alpha1.KeyRecipientGroups + name); there {
					rt.Skip("it is there")
				}
				left, another := Leavings(r.store.View(), v1alpha1.KeyRecipientGroups+name), group(name, "yes")
				anew++
				another.UID = types.UID(fmt.Sprint("u-", anew))
				err := r.try("id-fra", "anna", 0, r.put(v1alpha1.KeyRecipientGroups+name, another))
				if (err == nil) != (len(left) == 0) {
					rt.Fatalf("of one of its name there is left %v: %v", left, err)
				}
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
				r.tryBare("id-fra", "", 0, r.put(fmt.Sprintf("%ssecret.db%d-u-db%[2]d-1", v1alpha1.KeySealings, i), s)) // if the group has a key
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
}

// TestAClusterIsRemovedHoweverMuchItWasGranted: 5,000 grants, and 300 deleted bundles that wait for it, are more than one transaction takes.
func TestAClusterIsRemovedHoweverMuchItWasGranted(t *testing.T) {
	r := newRealm(t)
	var ops []store.Op
	for i := range 5000 {
		ops = append(ops, r.put(v1alpha1.GrantKey("iad", fmt.Sprint("b-", i)), v1alpha1.Grant{Bundle: fmt.Sprint("b-", i), BundleUID: "u", Revision: "r"}))
	}
	for i := range 300 {
		ops = append(ops, r.put(fmt.Sprint(v1alpha1.KeyTombstones, "u-", i), v1alpha1.Tombstone{Bundle: "gone", BundleUID: fmt.Sprint("u-", i), Clusters: []string{"fra", "iad"}}))
	}
	for some := range slices.Chunk(append(ops, store.Put(v1alpha1.KeyTombstones+"unread", []byte("{"))), 1000) {
		r.says(some...)
	}
	key := v1alpha1.KeyClusters + "iad"
	record, _ := r.store.View().Get(key)
	if left := Leavings(r.store.View(), key); left != nil {
		t.Errorf("it is there, and %d are left of it", len(left))
	}
	remove := r.whole(store.Delete(key))
	command := store.Command{ID: store.CommandID{Incarnation: "id-fra", Seq: 1}, Proposer: "id-fra", Txn: &store.Txn{Then: remove}}
	if size, err := command.Size(); err != nil || size > store.MaxEntry/2 || len(remove) > 10 {
		t.Fatalf("it takes %d ops in %d bytes: %v", len(remove), size, err)
	}
	if err := r.try("id-fra", "anna", 0, remove...); err != nil {
		t.Fatal(err)
	}
	if _, there := r.store.View().Member("id-iad"); there {
		t.Error("its member is there")
	}
	again := []store.Op{store.Put(key, record.Value), store.PutMember(store.Member{ID: "id-iad-2", Cluster: "iad", Region: "r", Pin: store.Pin{9}})}
	refused := func(left string) {
		t.Helper()
		if err := r.tryBare("id-fra", "", term, again...); err == nil || !strings.Contains(err.Error(), "cluster iad was removed, and "+left) {
			t.Errorf("another one of its name has what it was granted: %v", err)
		}
	}
	refused("the grant of bundle b-0 to cluster iad is still to be forgotten")
	left := Leavings(r.store.View(), key)
	if len(left) != len(ops)+3 { // and those that it had before
		t.Errorf("%d are left, of %d", len(left), len(ops))
	}
	r.says(left[:4096]...)
	refused("the grant of bundle b-")
	r.says(left[4096:5010]...)
	refused("what is left of the deleted bundle with uid u-")
	r.says(left[5010:]...)
	if err := r.tryBare("id-fra", "", term, again...); err != nil {
		t.Error(err)
	}
	if kv, _ := r.store.View().Get(v1alpha1.KeyTombstones + "u-7"); string(kv.Value) != `{"bundle":"gone","bundleUID":"u-7","clusters":["fra"]}` {
		t.Errorf("another cluster has gone from it: %s", kv.Value)
	}
}

// TestWhatIsLeftOfAClusterIsGrantedToNobody: a group that is sealed for goes, and a past is struck off, as soon as the cluster has gone that alone had it.
func TestWhatIsLeftOfAClusterIsGrantedToNobody(t *testing.T) {
	r := keyed(t)
	r.seals("db", 1, "readers")
	r.seals("db", 2, "empty")
	r.says(r.put(v1alpha1.GrantKey("sin", "secret.db"), v1alpha1.Grant{Bundle: "secret.db", BundleUID: "u-db", Revision: "secret.db-u-db-1"}))
	pasts := r.store.View().List(v1alpha1.KeyPasts + "fleetsecrets.db.u-db.")
	if len(pasts) != 1 {
		t.Fatalf("%d pasts", len(pasts))
	}
	struck := Change{Key: pasts[0].Key, Before: pasts[0].Value}
	if _, _, err := companions(r.store.View(), struck, bundles{}); err == nil || !strings.Contains(err.Error(), "still to run so in sin") {
		t.Errorf("it is there: %v", err)
	}
	r.goes("readers", "secret db, as revision secret.db-u-db-1 has it")
	if err := r.try("id-fra", "anna", 0, r.whole(store.Delete(v1alpha1.KeyClusters+"sin"))...); err != nil {
		t.Fatal(err)
	}
	if len(Leavings(r.store.View(), v1alpha1.KeyClusters+"sin")) == 0 {
		t.Fatal("nothing is left")
	}
	if _, ops, err := companions(r.store.View(), struck, bundles{}); err != nil || len(ops) == 0 {
		t.Errorf("it has gone: %d ops, %v", len(ops), err)
	}
	r.goes("readers", "only it remembers that cluster fra could read") // which is another reason
}

// TestADeletedBundleWaitsForNoClusterThatCameLater: it is deleted while something is left of a cluster that had it.
func TestADeletedBundleWaitsForNoClusterThatCameLater(t *testing.T) {
	r := newRealm(t)
	shop := r.put(v1alpha1.GrantKey("iad", "shop"), v1alpha1.Grant{Bundle: "shop", BundleUID: "u-shop", Revision: "shop-u-shop-1"})
	r.says(shop)
	key := v1alpha1.KeyClusters + "iad"
	record, _ := r.store.View().Get(key)
	again := []store.Op{store.Put(key, record.Value), store.PutMember(store.Member{ID: "id-iad-2", Cluster: "iad", Region: "r", Pin: store.Pin{9}})}
	if err := r.try("id-fra", "anna", 0, r.whole(store.Delete(key))...); err != nil {
		t.Fatal(err)
	}
	if err := r.try("id-fra", "otto", 0, r.whole(store.Delete(v1alpha1.KeyBundles+"shop"))...); err != nil {
		t.Fatal(err)
	}
	tomb := func() string {
		kv, _ := r.store.View().Get(v1alpha1.KeyTombstones + "u-shop")
		return string(kv.Value)
	}
	if want := `{"bundle":"shop","bundleUID":"u-shop","clusters":["fra","iad"]}`; tomb() != want {
		t.Fatalf("it leaves %s", tomb())
	}
	for _, op := range Leavings(r.store.View(), key) {
		if err := r.tryBare("id-fra", "", term, again...); err == nil {
			t.Fatalf("it is let in before %s is cleared away", op.Key)
		}
		r.says(op)
	}
	if err := r.tryBare("id-fra", "", term, again...); err != nil {
		t.Fatal(err)
	}
	if want := `{"bundle":"shop","bundleUID":"u-shop","clusters":["fra"]}`; tomb() != want {
		t.Errorf("it waits: %s", tomb())
	}
	r.says(shop)
	if left := Leavings(r.store.View(), key); left != nil || !Standing(r.store.View(), shop.Key) {
		t.Errorf("what it is granted now is nothing, and %v is left", left)
	}
}

// TestWhatCannotBeReadIsLeftAsTheRestIs: it goes by its key, and by its group where that can be read. Meanwhile the bundle that was granted may be deleted.
func TestWhatCannotBeReadIsLeftAsTheRestIs(t *testing.T) {
	r := newRealm(t)
	grant, told := store.Put(v1alpha1.GrantKey("iad", "shop"), []byte(`{"bundle": 7}`)), store.Put(v1alpha1.KeySealings+"secret.db-u-1", []byte(`{"group": "writers", "epoch": "three"}`))
	r.says(grant, told, store.Put(v1alpha1.KeySealings+"secret.db-u-2", []byte(`"junk"`)))
	shop, _ := r.store.View().Get(v1alpha1.KeyBundles + "shop")
	_, _, err := companions(r.store.View(), Change{Key: shop.Key, Before: shop.Value}, bundles{})
	if err == nil || !strings.Contains(err.Error(), "the grant of bundle shop to cluster iad cannot be read") {
		t.Errorf("who has the bundle cannot be known, and it is deleted: %v", err)
	}
	if err := r.try("id-fra", "anna", 0, r.whole(store.Delete(v1alpha1.KeyClusters+"iad"))...); err != nil {
		t.Fatal(err)
	}
	if err := r.try("id-fra", "otto", 0, r.whole(store.Delete(shop.Key))...); err != nil {
		t.Error(err)
	}
	for key, op := range map[string]store.Op{v1alpha1.KeyClusters + "iad": grant, v1alpha1.KeyRecipientGroups + "writers": told} {
		for n := 0; ; n++ {
			left := Leavings(r.store.View(), key)
			if (Anew(r.store.View(), key) == nil) != (len(left) == 0) {
				t.Errorf("of %s there is left %v", key, left)
			}
			if len(left) == 0 {
				break
			}
			r.says(left...)
			if _, there := r.store.View().Get(op.Key); there || n > 0 {
				t.Fatalf("%s is left", op.Key)
			}
		}
	}
	if n := r.store.View().Count(v1alpha1.KeySealings); n != 1 {
		t.Errorf("%d sealings are there: the other one is of nobody that has gone", n)
	}
}

// TestAClusterHasNothingOfAnEarlierOne: whatever is asked for, and in whatever order the leader deletes what is left.
func TestAClusterHasNothingOfAnEarlierOne(t *testing.T) {
	names, anew := []string{"iad", "sin"}, 0
	rapid.Check(t, func(rt *rapid.T) {
		r := newRealm(t)
		again, granted := map[string]bool{}, 0
		there := func(name string) bool {
			_, there := r.store.View().Get(v1alpha1.KeyClusters + name)
			return there
		}
		rt.Repeat(map[string]func(*rapid.T){
			"an admin removes a cluster": func(rt *rapid.T) {
				name := rapid.SampledFrom(names).Draw(rt, "cluster")
				if !there(name) {
					rt.Skip("it is not there")
				}
				if err := r.try("id-fra", "anna", 0, r.whole(store.Delete(v1alpha1.KeyClusters+name))...); err != nil {
					rt.Fatal(err)
				}
				again[name] = false
			},
			"the leader lets one in": func(rt *rapid.T) {
				name := rapid.SampledFrom(names).Draw(rt, "cluster")
				if there(name) {
					rt.Skip("it is there")
				}
				anew++
				left := Leavings(r.store.View(), v1alpha1.KeyClusters+name)
				id := fmt.Sprint("id-", name, "-", anew)
				c := &v1alpha1.Cluster{TypeMeta: v1alpha1.TypeOf("Cluster"), ObjectMeta: named(name), Spec: v1alpha1.ClusterSpec{Region: "r"}, Status: v1alpha1.ClusterStatus{Incarnation: id}}
				c.UID = types.UID("u-" + id)
				err := r.tryBare("id-fra", "", term, r.put(v1alpha1.KeyClusters+name, c),
					store.PutMember(store.Member{ID: store.MemberID(id), Cluster: name, Region: "r", Pin: store.Pin{9, byte(anew), byte(anew >> 8), byte(anew >> 16)}}))
				if (err == nil) != (len(left) == 0) {
					rt.Fatalf("of one of its name there is left %v: %v", left, err)
				}
				again[name] = err == nil
			},
			"the leader grants": func(rt *rapid.T) {
				name := rapid.SampledFrom(names).Draw(rt, "cluster")
				if granted++; there(name) {
					r.says(r.put(v1alpha1.GrantKey(name, "shop"), v1alpha1.Grant{Bundle: "shop", BundleUID: "u-shop", Revision: fmt.Sprint(granted)}))
				}
			},
			"a person deletes a bundle that is granted": func(rt *rapid.T) {
				kv, is := r.store.View().Get(v1alpha1.KeyBundles + "shop")
				if !is {
					rt.Skip("it is deleted")
				}
				if err := r.try("id-fra", "otto", 0, r.whole(store.Delete(kv.Key))...); err != nil {
					rt.Fatal(err)
				}
			},
			"the leader deletes something that is left": func(rt *rapid.T) {
				left := Leavings(r.store.View(), v1alpha1.KeyClusters+rapid.SampledFrom(names).Draw(rt, "cluster"))
				if len(left) == 0 {
					rt.Skip("nothing is left")
				}
				r.says(left[rapid.IntRange(0, len(left)-1).Draw(rt, "this")])
			},
			"": func(rt *rapid.T) {
				v := r.store.View()
				for _, name := range names {
					record, is := v.Get(v1alpha1.KeyClusters + name)
					if !is || !again[name] {
						continue
					}
					for kv := range v.Iterate(v1alpha1.KeyGrants+name+"/", "") {
						if kv.Created <= record.Created {
							rt.Fatalf("%s was written at %d, and %s is of %d", kv.Key, kv.Created, name, record.Created)
						}
					}
					for kv := range v.Iterate(v1alpha1.KeyTombstones, "") {
						if strings.Contains(string(kv.Value), `"`+name+`"`) && kv.Created <= record.Created {
							rt.Fatalf("%s waits for %s since %d, and that is of %d", kv.Key, name, kv.Created, record.Created)
						}
					}
				}
			},
		})
	})
}
