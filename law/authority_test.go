package law

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/transport"
)

// realm is a store with a fleet in it: fra with all rights, iad with rights over its own, sin with none; the people
// anna (Admin), otto (Operator) and vera (Viewer).
type realm struct {
	testing.TB
	store *store.Store
	index uint64
	seq   uint64
	log   []byte // the entries so far, for a golden file
}

const term = 7

func named(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, UID: types.UID("u-" + name), Generation: 1}
}

func newRealm(t testing.TB) *realm {
	r := &realm{TB: t, store: store.New(twice{Authority{Address: transport.CheckAddress}, Authority{Address: transport.CheckAddress, Kept: &Kept{}}, t})}
	var ops []store.Op
	for i, m := range []struct {
		cluster string
		rights  v1alpha1.Rights
	}{{"fra", v1alpha1.RightsAdmin}, {"iad", v1alpha1.RightsOwnObjects}, {"sin", v1alpha1.RightsReadOnly}} {
		member := store.Member{ID: store.MemberID("id-" + m.cluster), Cluster: m.cluster, Region: "r", Pin: store.Pin{byte(i + 1)}, Rights: string(m.rights)}
		cluster := &v1alpha1.Cluster{
			TypeMeta: v1alpha1.TypeOf("Cluster"), ObjectMeta: named(m.cluster), Spec: v1alpha1.ClusterSpec{Region: "r", Rights: m.rights},
			Status: v1alpha1.ClusterStatus{Incarnation: string(member.ID), Version: "v1", Voter: v1alpha1.RoleNonvoter},
		}
		v1alpha1.MirrorTopology(cluster)
		ops = append(ops, store.PutMember(member), r.put(v1alpha1.KeyClusters+m.cluster, cluster))
	}
	for name, role := range map[string]v1alpha1.Role{"anna": v1alpha1.RoleAdmin, "otto": v1alpha1.RoleOperator, "vera": v1alpha1.RoleViewer} {
		ops = append(ops, r.put(v1alpha1.KeyUsers+name, &v1alpha1.User{TypeMeta: v1alpha1.TypeOf("User"), ObjectMeta: named(name), Spec: v1alpha1.UserSpec{Role: role}}))
	}
	ops = append(ops,
		r.put(v1alpha1.GrantKey("fra", "shop"), v1alpha1.Grant{Bundle: "shop", BundleUID: "u-shop", Revision: "shop-u-shop-1"}),
		r.put(v1alpha1.GrantKey("iad", "old"), v1alpha1.Grant{Bundle: "old", BundleUID: "u-old", Withdraw: true}),
		r.put(v1alpha1.GrantKey("iad", "live"), v1alpha1.Grant{Bundle: "live", BundleUID: "u-live", Revision: "live-u-live-1"}),
		r.put(v1alpha1.KeyTombstones+"u-old", v1alpha1.Tombstone{Bundle: "old", BundleUID: "u-old", Clusters: []string{"iad", "sin"}}),
		r.put(v1alpha1.KeyBundles+"shop", r.bundle("shop", "fra", "iad")),
		r.put(v1alpha1.KeyBundles+"own", r.bundle("own", "iad")),
		store.Put(KeyTokens+"t", []byte("{}")),
	)
	if err := r.try("id-fra", "", 0, ops...); err != nil {
		t.Fatalf("found: %v", err)
	}
	return r
}

func (r *realm) put(key string, value any) store.Op {
	r.Helper()
	op, err := Put(key, value)
	if err != nil {
		r.Fatal(err)
	}
	return op
}

func (r *realm) bundle(name string, clusters ...string) *v1alpha1.Bundle {
	b := &v1alpha1.Bundle{TypeMeta: v1alpha1.TypeOf("Bundle"), ObjectMeta: named(name), Spec: v1alpha1.BundleSpec{Placement: v1alpha1.Placement{Clusters: clusters}}}
	b.UID = types.UID("u-" + name)
	return b
}

// revision is the one that comes with a bundle, changed.
func (r *realm) revision(b *v1alpha1.Bundle, change func(*v1alpha1.BundleRevision)) store.Op {
	r.Helper()
	value, err := json.Marshal(b)
	if err != nil {
		r.Fatal(err)
	}
	_, ops, err := companions(r.store.View(), Change{Key: v1alpha1.KeyBundles + b.Name, After: value}, bundles{})
	if err != nil || len(ops) != 1 {
		r.Fatalf("%d ops: %v", len(ops), err)
	}
	var rev v1alpha1.BundleRevision
	if err := json.Unmarshal(ops[0].Value, &rev); err != nil {
		r.Fatal(err)
	}
	change(&rev)
	return r.put(v1alpha1.KeyBundleRevisions+rev.Name, rev)
}

// whole is ops with their companions, but for records.
func (r *realm) whole(ops ...store.Op) []store.Op {
	r.Helper()
	return r.accompanied(Who{}, func(v *store.View, c Change) ([]store.Condition, []store.Op, error) {
		return companions(v, c, bundles{})
	}, ops...)
}

// wholeBy is ops of somebody with all their companions.
func (r *realm) wholeBy(who Who, ops ...store.Op) []store.Op {
	r.Helper()
	return r.accompanied(who, Companions, ops...)
}

func (r *realm) accompanied(who Who, by func(*store.View, Change) ([]store.Condition, []store.Op, error), ops ...store.Op) []store.Op {
	r.Helper()
	for _, op := range ops {
		c := Change{Key: op.Key, At: time.Unix(9, 0), Who: who}
		if kv, ok := r.store.View().Get(op.Key); ok {
			c.Before = kv.Value
		}
		if !op.Delete {
			c.After = op.Value
		}
		_, more, err := by(r.store.View(), c)
		if err != nil {
			r.Fatal(err)
		}
		ops = append(ops, more...)
	}
	return ops
}

func asItIs(*v1alpha1.BundleRevision) {}

// raw is a stored cluster with a piece of its text replaced.
func (r *realm) raw(name, old, new string) store.Op {
	r.Helper()
	kv, _ := r.store.View().Get(v1alpha1.KeyClusters + name)
	if !bytes.Contains(kv.Value, []byte(old)) {
		r.Fatalf("%s is not in %s", old, kv.Value)
	}
	return store.Put(kv.Key, bytes.Replace(kv.Value, []byte(old), []byte(new), 1))
}

// try applies a transaction with the records that it must have, and returns why it was refused, or nil.
func (r *realm) try(member store.MemberID, person string, asLeaderOf uint64, ops ...store.Op) error {
	r.Helper()
	if asLeaderOf == 0 || person != "" {
		ops = append(slices.Clone(ops), r.records(member, person, ops...)...)
	}
	return r.tryBare(member, person, asLeaderOf, ops...)
}

// records are those of somebody's ops, each as if it were alone. A leader's and a stranger's have none.
func (r *realm) records(member store.MemberID, person string, ops ...store.Op) (all []store.Op) {
	r.Helper()
	m, known := r.store.View().Member(member)
	if !known {
		return nil
	}
	law := Authority{Address: transport.CheckAddress}
	for _, op := range ops {
		w := write{op: op, asker: asker{person: person, cluster: m.Cluster}, view: r.store.View(), law: law}
		w.prefix, w.name = splitKey(op.Key)
		if kv, ok := w.view.Get(op.Key); ok {
			w.before = kv.Value
		}
		w.ofItself = w.prefix == v1alpha1.KeyClusters && w.name == m.Cluster && w.onlyOwnStatus()
		if !w.leavesRecord() {
			continue
		}
		c := w.change()
		c.Who = Who{Person: person, Through: m.Cluster, Groups: []string{"people"}, SourceIP: "10.0.0.9", UserAgent: "kubectl"}
		rec, err := recordOf(w.view, c, bundles{})
		if err != nil {
			continue // nor will the law let it pass
		}
		more, err := rec.testified(c.Who, time.Unix(int64(r.index)+1, 0)).ops(c)
		if err != nil {
			r.Fatal(err)
		}
		all = append(all, more...)
	}
	return all
}

// tryBare applies just these ops.
func (r *realm) tryBare(member store.MemberID, person string, asLeaderOf uint64, ops ...store.Op) error {
	r.Helper()
	seq := r.index + 1
	return r.write(store.Command{
		ID:       store.CommandID{Incarnation: member, Seq: seq},
		Proposer: member, Person: person, Term: asLeaderOf, Epoch: r.store.View().Epoch().ID, Time: time.Unix(int64(seq), 0).UnixNano(), Txn: &store.Txn{Then: ops},
	}).Err
}

// cluster returns a stored cluster, changed.
func (r *realm) cluster(name string, change func(*v1alpha1.Cluster)) store.Op {
	r.Helper()
	kv, _ := r.store.View().Get(v1alpha1.KeyClusters + name)
	var c v1alpha1.Cluster
	if err := json.Unmarshal(kv.Value, &c); err != nil {
		r.Fatal(err)
	}
	change(&c)
	return r.put(kv.Key, c)
}

func TestWhoMayWriteWhat(t *testing.T) {
	const yes, no = true, false
	member := func(r *realm, cluster string) store.Member {
		m, ok := r.store.View().Member(store.MemberID("id-" + cluster))
		if !ok {
			r.Fatalf("no member %s", cluster)
		}
		return m
	}
	for name, c := range map[string]struct {
		member store.MemberID
		person string
		ops    func(r *realm) []store.Op
		want   bool
	}{
		"an admin through a member with all rights writes settings": {"id-fra", "anna", func(r *realm) []store.Op {
			return []store.Op{r.put(v1alpha1.KeyFleets+"f", &v1alpha1.Fleet{TypeMeta: v1alpha1.TypeOf("Fleet"), ObjectMeta: named("f")})}
		}, yes},
		"an admin through a member without rights writes nothing": {"id-sin", "anna", func(r *realm) []store.Op {
			return []store.Op{r.put(v1alpha1.KeyFleets+"f", &v1alpha1.Fleet{TypeMeta: v1alpha1.TypeOf("Fleet"), ObjectMeta: named("f")})}
		}, no},
		"an operator writes bundles": {"id-fra", "otto", func(r *realm) []store.Op {
			return r.whole(r.put(v1alpha1.KeyBundles+"shop", r.bundle("shop", "sin")))
		}, yes},
		"an operator writes no users": {"id-fra", "otto", func(r *realm) []store.Op {
			return []store.Op{r.put(v1alpha1.KeyUsers+"otto", &v1alpha1.User{TypeMeta: v1alpha1.TypeOf("User"), ObjectMeta: named("otto"), Spec: v1alpha1.UserSpec{Role: v1alpha1.RoleAdmin}})}
		}, no},
		"a viewer writes nothing": {"id-fra", "vera", func(r *realm) []store.Op {
			return r.whole(r.put(v1alpha1.KeyBundles+"shop", r.bundle("shop")))
		}, no},
		"nobody writes for a person that is not there": {"id-fra", "mallory", func(r *realm) []store.Op {
			return r.whole(r.put(v1alpha1.KeyBundles+"shop", r.bundle("shop")))
		}, no},
		"a member that is none writes nothing": {"id-mars", "", func(r *realm) []store.Op {
			return r.whole(r.put(v1alpha1.KeyBundles+"shop", r.bundle("shop")))
		}, no},
		"a member over its own writes a bundle for itself alone": {"id-iad", "", func(r *realm) []store.Op {
			return r.whole(r.put(v1alpha1.KeyBundles+"mine", r.bundle("mine", "iad")))
		}, yes},
		"a member over its own writes no bundle for others": {"id-iad", "", func(r *realm) []store.Op {
			return r.whole(r.put(v1alpha1.KeyBundles+"mine", r.bundle("mine", "iad", "fra")))
		}, no},
		"a member over its own does not take a bundle of others": {"id-iad", "", func(r *realm) []store.Op {
			return r.whole(r.put(v1alpha1.KeyBundles+"shop", r.bundle("shop", "iad")))
		}, no},
		"a member over its own deletes its own bundle": {"id-iad", "", func(r *realm) []store.Op {
			return []store.Op{store.Delete(v1alpha1.KeyBundles + "own")}
		}, yes},
		"a member says where it is": {"id-sin", "", func(r *realm) []store.Op {
			m := member(r, "sin")
			m.Addresses = []string{"10.0.0.9:7946"}
			return []store.Op{store.PutMember(m), r.cluster("sin", func(c *v1alpha1.Cluster) {
				c.Status.Version, c.Status.DataDirectory = "v2", v1alpha1.DataDirectoryEncrypted
			})}
		}, yes},
		"a member does not raise its own rights": {"id-sin", "", func(r *realm) []store.Op {
			m := member(r, "sin")
			m.Rights = string(v1alpha1.RightsAdmin)
			return []store.Op{store.PutMember(m)}
		}, no},
		"a member does not change its own labels": {"id-iad", "", func(r *realm) []store.Op {
			return []store.Op{r.cluster("iad", func(c *v1alpha1.Cluster) { c.Labels["tier"] = "prod" })}
		}, no},
		"a member does not change its own region": {"id-iad", "", func(r *realm) []store.Op {
			return []store.Op{r.cluster("iad", func(c *v1alpha1.Cluster) { c.Spec.Region = "eu" })}
		}, no},
		"a member does not say for itself that it is ready": {"id-iad", "", func(r *realm) []store.Op {
			return []store.Op{r.cluster("iad", func(c *v1alpha1.Cluster) {
				c.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: "True", Reason: "Ready"}}
			})}
		}, no},
		"a member does not speak for another": {"id-iad", "", func(r *realm) []store.Op {
			return []store.Op{r.cluster("sin", func(c *v1alpha1.Cluster) { c.Status.Version = "v2" })}
		}, no},
		"nor says how its disk is": {"id-iad", "", func(r *realm) []store.Op {
			return []store.Op{r.cluster("sin", func(c *v1alpha1.Cluster) { c.Status.DataDirectory = v1alpha1.DataDirectoryClear })}
		}, no},
		"a member with all rights does not say what another's recipient is": {"id-fra", "", func(r *realm) []store.Op {
			return []store.Op{r.cluster("sin", func(c *v1alpha1.Cluster) { c.Status.Recipient = "age of fra" })}
		}, no},
		"nor since when": {"id-fra", "", func(r *realm) []store.Op {
			return []store.Op{r.cluster("sin", func(c *v1alpha1.Cluster) { c.Status.RecipientSince = &metav1.Time{Time: time.Unix(9, 0)} })}
		}, no},
		"nor who signed it": {"id-fra", "", func(r *realm) []store.Op {
			return []store.Op{r.cluster("sin", func(c *v1alpha1.Cluster) { c.Status.RecipientSignature = []byte("signed") })}
		}, no},
		"nor does an admin": {"id-fra", "anna", func(r *realm) []store.Op {
			return []store.Op{r.cluster("sin", func(c *v1alpha1.Cluster) { c.Status.Recipient = "age of anna" })}
		}, no},
		"an admin labels a cluster whose recipient was told in another form": {"id-fra", "anna", func(r *realm) []store.Op {
			r.says(r.cluster("sin", toldRecipient("age of sin")))
			r.says(r.raw("sin", `"1970-01-01T00:00:09Z"`, `"1970-01-01T00:00:09.5Z"`))
			return []store.Op{r.cluster("sin", func(c *v1alpha1.Cluster) { c.Labels["tier"] = "prod" })}
		}, yes},
		"nobody but the leader grants": {"id-fra", "anna", func(r *realm) []store.Op {
			return []store.Op{r.put(v1alpha1.GrantKey("fra", "shop"), v1alpha1.Grant{Bundle: "shop"})}
		}, no},
		"nobody but the leader makes rollouts": {"id-fra", "anna", func(r *realm) []store.Op {
			return []store.Op{r.put(v1alpha1.KeyRollouts+"x", &v1alpha1.Rollout{})}
		}, no},
		"an operator orders a rollout": {"id-fra", "otto", func(r *realm) []store.Op {
			return r.ordering(func(o *v1alpha1.Rollout) { o.Spec.Orders.Paused = true; o.Generation++ })
		}, yes},
		"a viewer does not": {"id-fra", "vera", func(r *realm) []store.Op {
			return r.ordering(func(o *v1alpha1.Rollout) { o.Spec.Orders.Paused = true })
		}, no},
		"nobody gives out a wave with an order": {"id-fra", "anna", func(r *realm) []store.Op {
			return r.ordering(func(o *v1alpha1.Rollout) {
				o.Spec.Orders.Paused = true
				o.Spec.Waves = []v1alpha1.Wave{{Domain: "eu"}}
			})
		}, no},
		"nobody settles a wave with an order": {"id-fra", "anna", func(r *realm) []store.Op {
			return r.ordering(func(o *v1alpha1.Rollout) { o.Status.InChange = nil })
		}, no},
		"nobody lets a rollout go on after a stop to come": {"id-fra", "otto", func(r *realm) []store.Op {
			return r.ordering(func(o *v1alpha1.Rollout) { o.Spec.Orders.Resumed = 2 })
		}, no},
		"an operator lets a rollout delete what it told": {"id-fra", "otto", func(r *realm) []store.Op {
			return r.ordering(func(o *v1alpha1.Rollout) { o.Spec.Orders.Deletions = map[string]int32{"iad": 3, "sin": 2} })
		}, yes},
		"nobody lets a rollout delete more than it told": {"id-fra", "anna", func(r *realm) []store.Op {
			return r.ordering(func(o *v1alpha1.Rollout) { o.Spec.Orders.Deletions = map[string]int32{"iad": 4} })
		}, no},
		"nobody lets a rollout delete where it told nothing": {"id-fra", "anna", func(r *realm) []store.Op {
			return r.ordering(func(o *v1alpha1.Rollout) { o.Spec.Orders.Deletions = map[string]int32{"fra": 0} })
		}, no},
		"what was let go once stays so": {"id-fra", "otto", func(r *realm) []store.Op {
			return r.ordering(func(o *v1alpha1.Rollout) { o.Spec.Orders.Paused = true; o.Spec.Orders.Deletions["sin"] = 1 })
		}, yes},
		"a member strikes a grant that it has withdrawn, and itself off the tombstone": {"id-iad", "", func(r *realm) []store.Op {
			return []store.Op{
				store.Delete(v1alpha1.GrantKey("iad", "old")),
				r.put(v1alpha1.KeyTombstones+"u-old", v1alpha1.Tombstone{Bundle: "old", BundleUID: "u-old", Clusters: []string{"sin"}}),
			}
		}, yes},
		"a member strikes no grant that is alive": {"id-iad", "", func(r *realm) []store.Op {
			return []store.Op{store.Delete(v1alpha1.GrantKey("iad", "live"))}
		}, no},
		"a member strikes no other off a tombstone": {"id-iad", "", func(r *realm) []store.Op {
			return []store.Op{r.put(v1alpha1.KeyTombstones+"u-old", v1alpha1.Tombstone{Bundle: "old", BundleUID: "u-old"})}
		}, no},
		"a member deletes no tombstone that others are on": {"id-iad", "", func(r *realm) []store.Op {
			return []store.Op{store.Delete(v1alpha1.KeyTombstones + "u-old")}
		}, no},
		"a tombstone comes with its bundle's deletion": {"id-fra", "otto", func(r *realm) []store.Op {
			return []store.Op{
				store.Delete(v1alpha1.KeyBundles + "shop"),
				r.put(v1alpha1.KeyTombstones+"u-shop", v1alpha1.Tombstone{Bundle: "shop", BundleUID: "u-shop", Clusters: []string{"fra"}}),
			}
		}, yes},
		"a tombstone forgets no cluster": {"id-fra", "otto", func(r *realm) []store.Op {
			return []store.Op{
				store.Delete(v1alpha1.KeyBundles + "shop"),
				r.put(v1alpha1.KeyTombstones+"u-shop", v1alpha1.Tombstone{Bundle: "shop", BundleUID: "u-shop"}),
			}
		}, no},
		"a bundle is not deleted without a tombstone": {"id-fra", "anna", func(*realm) []store.Op {
			return []store.Op{store.Delete(v1alpha1.KeyBundles + "shop")}
		}, no},
		"a bundle does not come without its revision": {"id-fra", "anna", func(r *realm) []store.Op {
			return []store.Op{r.put(v1alpha1.KeyBundles+"shop", r.bundle("shop", "fra"))}
		}, no},
		"a field that nobody knows yet is in the revision too": {"id-fra", "anna", func(r *realm) []store.Op {
			b := r.put(v1alpha1.KeyBundles+"shop", r.bundle("shop", "fra"))
			b.Value = bytes.Replace(b.Value, []byte(`"spec":{`), []byte(`"spec":{"pause":{"before":"east"},`), 1)
			ops := r.whole(b)
			if !bytes.Contains(ops[1].Value, []byte(`"pause":{"before":"east"}`)) {
				r.Errorf("it is lost: %s", ops[1].Value)
			}
			return ops
		}, yes},
		"a bundle for itself alone is not placed by a field that nobody knows yet": {"id-iad", "", func(r *realm) []store.Op {
			b := r.put(v1alpha1.KeyBundles+"mine", r.bundle("mine", "iad"))
			b.Value = bytes.Replace(b.Value, []byte(`"placement":{`), []byte(`"placement":{"zones":["all"],`), 1)
			return r.whole(b)
		}, no},
		"a bundle says nothing in two cases": {"id-iad", "", func(r *realm) []store.Op {
			b := r.put(v1alpha1.KeyBundles+"mine", r.bundle("mine", "iad"))
			b.Value = bytes.Replace(b.Value, []byte(`"spec":{`), []byte(`"spec":{"Placement":{"clusters":["iad"]},`), 1)
			return []store.Op{b}
		}, no},
		"a bundle says nothing twice": {"id-iad", "", func(r *realm) []store.Op {
			b := r.put(v1alpha1.KeyBundles+"mine", r.bundle("mine", "iad"))
			b.Value = bytes.Replace(b.Value, []byte(`"spec":{`), []byte(`"spec":{"placement":{"clusters":["fra"]},`), 1)
			return []store.Op{b}
		}, no},
		"a tombstone is of the bundle that is deleted": {"id-fra", "otto", func(r *realm) []store.Op {
			return []store.Op{
				store.Delete(v1alpha1.KeyBundles + "shop"),
				r.put(v1alpha1.KeyTombstones+"u-live", v1alpha1.Tombstone{Bundle: "live", BundleUID: "u-live", Clusters: []string{"fra"}}),
			}
		}, no},
		"a tombstone does not come without it": {"id-fra", "otto", func(r *realm) []store.Op {
			return []store.Op{r.put(v1alpha1.KeyTombstones+"u-shop", v1alpha1.Tombstone{Bundle: "shop", BundleUID: "u-shop"})}
		}, no},
		"a revision comes with its bundle": {"id-fra", "otto", func(r *realm) []store.Op {
			b := r.bundle("shop", "fra")
			return []store.Op{r.put(v1alpha1.KeyBundles+"shop", b), r.revision(b, asItIs)}
		}, yes},
		"a revision says what its bundle says": {"id-fra", "otto", func(r *realm) []store.Op {
			b := r.bundle("shop", "fra")
			return []store.Op{r.put(v1alpha1.KeyBundles+"shop", b), r.revision(b, func(rev *v1alpha1.BundleRevision) {
				rev.Spec.Deletion = v1alpha1.DeletionOrphan
			})}
		}, no},
		"a revision of a later generation is not planted": {"id-fra", "otto", func(r *realm) []store.Op {
			b := r.bundle("shop", "fra")
			later := r.bundle("shop", "fra")
			later.Generation++
			return []store.Op{r.put(v1alpha1.KeyBundles+"shop", b), r.revision(later, asItIs)}
		}, no},
		"a revision of another bundle is not planted": {"id-iad", "", func(r *realm) []store.Op {
			other := r.bundle("shop", "fra")
			other.Generation++
			return []store.Op{r.put(v1alpha1.KeyBundles+"own", r.bundle("own", "iad")), r.revision(other, func(rev *v1alpha1.BundleRevision) {
				rev.Spec.Bundle, rev.Spec.BundleUID = "own", "u-own"
			})}
		}, no},
		"a bundle does not lie under the name of another": {"id-iad", "", func(r *realm) []store.Op {
			return r.whole(r.put(v1alpha1.KeyBundles+"mine", r.bundle("shop", "iad")))
		}, no},
		"a bundle does not change its UID": {"id-fra", "anna", func(r *realm) []store.Op {
			b := r.bundle("shop", "fra")
			b.UID = "u-other"
			return []store.Op{r.put(v1alpha1.KeyBundles+"shop", b)}
		}, no},
		"a bundle is of its kind": {"id-fra", "anna", func(r *realm) []store.Op {
			b := r.bundle("shop", "fra")
			b.Kind = "Fleet"
			return []store.Op{r.put(v1alpha1.KeyBundles+"shop", b)}
		}, no},
		"a member says nothing of itself that others cannot read": {"id-sin", "", func(r *realm) []store.Op {
			return []store.Op{r.raw("sin", `"version":"v1"`, `"version":7`)}
		}, no},
		"a member hides no second labels in its status": {"id-sin", "", func(r *realm) []store.Op {
			return []store.Op{r.raw("sin", `"metadata":{`, `"metadata":{"labels":{"tier":"prod"}},"metadata":{`)}
		}, no},
		"a member has no addresses that are none": {"id-sin", "", func(r *realm) []store.Op {
			m := member(r, "sin")
			m.Addresses = []string{"here"}
			return []store.Op{store.PutMember(m)}
		}, no},
		"a member does not take the place of another incarnation": {"id-sin", "", func(r *realm) []store.Op {
			return []store.Op{r.cluster("sin", func(c *v1alpha1.Cluster) { c.Status.Incarnation = "other" })}
		}, no},
		"a revision does not come alone": {"id-fra", "anna", func(r *realm) []store.Op {
			return []store.Op{r.revision(r.bundle("shop", "fra"), asItIs)}
		}, no},
		"an admin removes a cluster with its member": {"id-fra", "anna", func(r *realm) []store.Op {
			_, ops, err := dismiss(r.store.View(), "iad", time.Unix(9, 0))
			if err != nil {
				r.Fatal(err)
			}
			return append(ops, store.Delete(v1alpha1.KeyClusters+"iad"))
		}, yes},
		"nobody removes a cluster that votes": {"id-fra", "anna", func(r *realm) []store.Op {
			whole := r.whole(store.Delete(v1alpha1.KeyClusters + "sin"))
			votes := r.cluster("sin", func(c *v1alpha1.Cluster) { c.Status.Voter = v1alpha1.RoleVoter })
			if err := r.try("id-fra", "", term, votes); err != nil {
				r.Fatal(err)
			}
			return whole
		}, no},
		"nobody but the leader says that a cluster does not vote": {"id-fra", "", func(r *realm) []store.Op {
			votes := r.cluster("sin", func(c *v1alpha1.Cluster) { c.Status.Voter = v1alpha1.RoleVoter })
			if err := r.try("id-fra", "", term, votes); err != nil {
				r.Fatal(err)
			}
			return []store.Op{r.cluster("sin", func(c *v1alpha1.Cluster) { c.Status.Voter = v1alpha1.RoleNonvoter })}
		}, no},
		"an admin changes how far a member is trusted, with its cluster": {"id-fra", "anna", func(r *realm) []store.Op {
			cluster := r.cluster("sin", func(c *v1alpha1.Cluster) { c.Spec.Rights = v1alpha1.RightsAdmin })
			_, ops, err := companions(r.store.View(), Change{Key: cluster.Key, After: cluster.Value}, bundles{})
			if err != nil || len(ops) != 1 {
				r.Fatalf("%d ops besides: %v", len(ops), err)
			}
			return append(ops, cluster)
		}, yes},
		"an admin does not change it without": {"id-fra", "anna", func(r *realm) []store.Op {
			m := member(r, "sin")
			m.Rights = string(v1alpha1.RightsAdmin)
			return []store.Op{store.PutMember(m)}
		}, no},
		"an operator removes no cluster": {"id-fra", "otto", func(r *realm) []store.Op {
			_, ops, err := dismiss(r.store.View(), "iad", time.Unix(9, 0))
			if err != nil {
				r.Fatal(err)
			}
			return append(ops, store.Delete(v1alpha1.KeyClusters+"iad"))
		}, no},
		"nobody writes where nothing belongs": {"id-fra", "anna", func(r *realm) []store.Op {
			return []store.Op{store.Put("/elsewhere/x", []byte("1"))}
		}, no},
		"an operator makes no token": {"id-fra", "otto", func(r *realm) []store.Op {
			return []store.Op{store.Put(KeyTokens+"u", []byte("{}"))}
		}, no},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRealm(t)
			ops := c.ops(r)
			before := r.store.View().Revision()
			err := r.try(c.member, c.person, 0, ops...)
			if c.want != (err == nil) {
				t.Errorf("got %v", err)
			}
			if changed := r.store.View().Revision() != before; changed != c.want {
				t.Errorf("the store changed: %v", changed)
			}
		})
	}
}

func TestALeaderDecidesInItsTermOnly(t *testing.T) {
	r := newRealm(t)
	grant := r.put(v1alpha1.GrantKey("fra", "shop"), v1alpha1.Grant{Bundle: "shop"})
	if err := r.try("id-fra", "", term-1, grant); !errors.Is(err, store.ErrStaleTerm) {
		t.Errorf("a deposed leader: %v", err)
	}
	if err := r.try("id-fra", "anna", term, grant); err == nil {
		t.Error("a person decided as leader")
	}
	if err := r.try("id-fra", "", term, grant); err != nil {
		t.Errorf("the leader: %v", err)
	}
}

// ordering is a rollout that is there, changed.
func (r *realm) ordering(change func(*v1alpha1.Rollout)) []store.Op {
	o := &v1alpha1.Rollout{TypeMeta: v1alpha1.TypeOf("Rollout"), ObjectMeta: metav1.ObjectMeta{Name: "shop-1", UID: "u-rollout", Generation: 1}}
	o.Status.InChange, o.Status.Stops = []string{"eu"}, 1
	o.Spec.Orders.Deletions = map[string]int32{"ams": 9}
	o.Status.Deletions = &v1alpha1.RolloutDeletions{Clusters: []v1alpha1.ClusterDeletions{{Name: "iad", Objects: 3}, {Name: "sin", Objects: 2}}}
	if err := r.tryBare("id-fra", "", term, r.put(v1alpha1.KeyRollouts+o.Name, o)); err != nil {
		r.Fatal(err)
	}
	change(o)
	return []store.Op{r.put(v1alpha1.KeyRollouts+o.Name, o)}
}
