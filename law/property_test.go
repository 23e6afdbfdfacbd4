package law

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/transport"
)

// grown is a realm in which some things happened.
func grown(t *testing.T, rt *rapid.T) *realm {
	r := newRealm(t)
	for _, cluster := range []string{"fra", "iad", "sin"} {
		for _, bundle := range []string{"shop", "own"} {
			if rapid.Bool().Draw(rt, "granted") {
				g := v1alpha1.Grant{Bundle: bundle, BundleUID: "u-" + bundle, Revision: "r", Withdraw: rapid.Bool().Draw(rt, "withdrawn")}
				if err := r.try("id-fra", "", term, r.put(v1alpha1.GrantKey(cluster, bundle), g)); err != nil {
					rt.Fatal(err)
				}
			}
		}
	}
	return r
}

// drawChange is something that an admin may do, without its companions.
func drawChange(r *realm, rt *rapid.T) store.Op {
	bundle := rapid.SampledFrom([]string{"shop", "own", "new"}).Draw(rt, "bundle")
	cluster := rapid.SampledFrom([]string{"iad", "sin"}).Draw(rt, "cluster")
	change := rapid.IntRange(0, 3).Draw(rt, "change")
	if _, there := r.store.View().Get(v1alpha1.KeyClusters + cluster); change == 3 && !there {
		change = 2
	}
	switch change {
	case 0:
		b := r.bundle(bundle, rapid.SliceOfDistinct(rapid.SampledFrom([]string{"fra", "iad", "sin"}), rapid.ID[string]).Draw(rt, "placed")...)
		b.Generation = rapid.Int64Range(1, 3).Draw(rt, "generation")
		b.Spec.Deletion = rapid.SampledFrom([]v1alpha1.DeletionPolicy{"", v1alpha1.DeletionOrphan}).Draw(rt, "deletion")
		return r.put(v1alpha1.KeyBundles+bundle, b)
	case 1:
		return store.Delete(v1alpha1.KeyBundles + rapid.SampledFrom([]string{"shop", "own"}).Draw(rt, "deleted"))
	case 2:
		return store.Delete(v1alpha1.KeyClusters + cluster)
	}
	return r.cluster(cluster, func(c *v1alpha1.Cluster) {
		c.Spec.Region = rapid.SampledFrom([]string{"r", "eu"}).Draw(rt, "region")
		c.Spec.Rights = rapid.SampledFrom([]v1alpha1.Rights{v1alpha1.RightsAdmin, v1alpha1.RightsReadOnly}).Draw(rt, "rights")
		c.Labels["tier"] = rapid.SampledFrom([]string{"prod", "test"}).Draw(rt, "tier")
	})
}

// mutated changes one companion, the one at i. All but the first op are companions.
func mutated(rt *rapid.T, ops []store.Op, i int) []store.Op {
	out := slices.Clone(ops)
	switch how := rapid.IntRange(0, 3).Draw(rt, "mutation"); {
	case how == 0:
		return slices.Delete(out, i, i+1)
	case how == 1:
		out[i].Key += "x"
	case out[i].Delete:
		out[i] = store.Put(out[i].Key, []byte(`{"withdraw":true}`))
	case how == 2:
		out[i] = store.Delete(out[i].Key)
	default:
		at := rapid.IntRange(0, len(out[i].Value)-1).Draw(rt, "byte")
		value := bytes.Clone(out[i].Value)
		value[at] ^= 1
		out[i].Value = value
	}
	return out
}

// people are through whom writes come that the law lets pass, members in their own name among them: the last four of a member with rights over its own alone.
var people = []struct{ member, person string }{
	{"fra", "anna"}, {"fra", v1alpha1.LocalPerson}, {"fra", "hanse:fra:jane"}, {"fra", ""},
	{"iad", "anna"}, {"iad", v1alpha1.LocalPerson}, {"iad", "hanse:iad:jane"}, {"iad", ""},
}

// drawOwn is something that the people of a member with rights over its own may do, without its companions.
func drawOwn(r *realm, rt *rapid.T) store.Op {
	if rapid.Bool().Draw(rt, "delete") {
		return store.Delete(v1alpha1.KeyBundles + "own")
	}
	b := r.bundle(rapid.SampledFrom([]string{"own", "new"}).Draw(rt, "bundle"), "iad")
	b.Generation = rapid.Int64Range(1, 3).Draw(rt, "generation")
	return r.put(v1alpha1.KeyBundles+b.Name, b)
}

func TestHonestCompanionsPassAndChangedOnesDoNot(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := grown(t, rt)
		who := rapid.SampledFrom(people).Draw(rt, "who")
		draw := drawChange
		if who.member == "iad" {
			draw = drawOwn
		}
		member := store.MemberID("id-" + who.member)
		ops := r.wholeBy(Who{Person: who.person, Through: who.member, Groups: []string{"ops"}, SourceIP: "10.0.0.9", UserAgent: "kubectl"}, draw(r, rt))
		i := rapid.IntRange(1, len(ops)-1).Draw(rt, "companion")
		if bad := mutated(rt, ops, i); !onlyWord(ops, bad, i) {
			if err := r.tryBare(member, who.person, 0, bad...); err == nil {
				rt.Fatalf("passed:\n%s\ninstead of\n%s", words(bad), words(ops))
			}
		}
		for _, other := range append(people, struct{ member, person string }{"sin", who.person}) {
			if err := r.tryBare(store.MemberID("id-"+other.member), other.person, 0, ops...); err == nil && other != who {
				rt.Fatalf("passed for %s through %s: %s", other.person, other.member, words(ops))
			} else if err != nil && other == who {
				rt.Fatalf("refused: %v\n%s", err, words(ops))
			} else if err == nil {
				break
			}
		}
	})
}

// onlyWord says that a mutation changed nothing but what is the word of the member that was asked: when a member was removed,
// and in a record from where, by what groups and when the change was asked for.
func onlyWord(ops, bad []store.Op, i int) bool {
	if len(ops) != len(bad) || bad[i].Key != ops[i].Key {
		return false
	}
	if strings.HasPrefix(bad[i].Key, store.KeyRemoved) {
		return same(ops[i], bad[i])
	}
	var is, was record
	if !strings.HasPrefix(bad[i].Key, v1alpha1.KeyChanges) || json.Unmarshal(ops[i].Value, &was) != nil || json.Unmarshal(bad[i].Value, &is) != nil {
		return false
	}
	return reflect.DeepEqual(is.testified(Who{}, time.Time{}), was.testified(Who{}, time.Time{}))
}

func words(ops []store.Op) (all string) {
	for _, op := range ops {
		all += fmt.Sprintf("%s delete=%v %s\n", op.Key, op.Delete, op.Value)
	}
	return all
}

// drawWrites is a transaction of anybody: honest, or not at all.
func drawWrites(r *realm, rt *rapid.T) []store.Op {
	op := drawChange(r, rt)
	switch rapid.IntRange(0, 3).Draw(rt, "writes") {
	case 0:
		return []store.Op{op}
	case 1:
		key := rapid.SampledFrom([]string{
			v1alpha1.GrantKey("iad", "old"), v1alpha1.GrantKey("sin", "shop"), v1alpha1.KeyTombstones + "u-old",
			v1alpha1.KeyRollouts + "x", KeyTokens + "t", v1alpha1.KeyUsers + "vera", "/elsewhere",
		}).Draw(rt, "key")
		if rapid.Bool().Draw(rt, "delete") {
			return []store.Op{store.Delete(key)}
		}
		return []store.Op{store.Put(key, []byte(rapid.SampledFrom([]string{"", "{", `{"bundle":"old","bundleUID":"u-old","clusters":["sin"]}`, `{"spec":{"role":"Admin"}}`}).Draw(rt, "value")))}
	}
	before, _ := r.store.View().Get(op.Key)
	c := Change{Key: op.Key, Before: before.Value, At: time.Unix(5, 0)}
	c.Who = Who{Person: rapid.SampledFrom([]string{"", "anna", "otto"}).Draw(rt, "recorded"), Through: "fra"}
	if !op.Delete {
		c.After = op.Value
	}
	_, more, _ := Companions(r.store.View(), c) // one that cannot be made is a transaction without them
	return append([]store.Op{op}, more...)
}

func TestSameLogSameBytesUnderTheLaw(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		one := newRealm(t)
		other := store.New(Authority{Address: transport.CheckAddress})
		restore(rt, other, one.store)
		for range rapid.IntRange(1, 12).Draw(rt, "entries") {
			var commands []store.Command
			for range rapid.IntRange(1, 3).Draw(rt, "commands") {
				one.seq++
				who := store.MemberID("id-" + rapid.SampledFrom([]string{"fra", "fra", "iad", "sin"}).Draw(rt, "member"))
				commands = append(commands, store.Command{
					ID: store.CommandID{Incarnation: who, Seq: 1000 + one.seq}, Proposer: who,
					Person: rapid.SampledFrom([]string{"", "anna", "otto", "nobody"}).Draw(rt, "person"), Time: int64(1000 + one.seq),
					Txn: &store.Txn{Then: drawWrites(one, rt)},
				})
			}
			one.apply(rt, one.store, commands)
			if rapid.IntRange(0, 3).Draw(rt, "restored") == 0 {
				restore(rt, other, one.store)
			} else {
				one.apply(rt, other, commands)
			}
			if a, b := snapshot(rt, one.store), snapshot(rt, other); !bytes.Equal(a, b) {
				rt.Fatal("two members differ after one log")
			}
		}
	})
}

func (r *realm) apply(rt *rapid.T, to *store.Store, commands []store.Command) {
	entry, err := store.EncodeEntry(commands)
	if err == nil {
		_, err = to.Apply(to.View().Index()+1, term, entry)
	}
	if err != nil {
		rt.Fatal(err)
	}
}

func snapshot(rt *rapid.T, s *store.Store) []byte {
	var b bytes.Buffer
	if _, err := s.Snapshot().WriteTo(&b); err != nil {
		rt.Fatal(err)
	}
	return b.Bytes()
}

func restore(rt *rapid.T, to, from *store.Store) {
	if err := to.Restore(bytes.NewReader(snapshot(rt, from))); err != nil {
		rt.Fatal(err)
	}
}
