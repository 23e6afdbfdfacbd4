package law

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"testing"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/transport"
)

const (
	readersGroup = v1alpha1.KeyRecipientGroups + "readers"
	sealingOfDB  = v1alpha1.KeySealings + "secret.db-u-db-1"
)

// ownWrite is a state of the log, and what a member wrote next in it.
type ownWrite struct {
	view   *store.View
	member store.MemberID
	op     store.Op
}

// chronicle is how a group gets its keys, and what is sealed for it: each write of a member, and the state that it found.
func chronicle(t testing.TB) (all []ownWrite) {
	r := keyed(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	by := func(member store.MemberID, op store.Op) {
		t.Helper()
		all = append(all, ownWrite{r.store.View(), member, op})
		must(r.tryBare(member, "", 0, op))
	}
	asked := func() {
		t.Helper()
		must(r.try("id-fra", "anna", 0, r.group("readers", func(g *v1alpha1.RecipientGroup) { g.Spec.Rotate++ })))
	}
	proven := func(g *v1alpha1.RecipientGroup) { g.Status = Proven(g.Status) }
	sealing := func(s v1alpha1.Sealing) store.Op { return r.put(sealingOfDB, s) }
	again := v1alpha1.Sealing{Group: "readers", Found: 1, Epoch: 2, Data: []byte("again"), By: "fra", Since: []map[string]int64{{"readers": 1}}}
	confirmed := again
	confirmed.Confirmed, confirmed.Witness = "iad", "iad"
	next := v1alpha1.Sealing{Group: "readers", Found: 1, Epoch: 3, Data: []byte("third"), By: "iad", Since: again.Since, Witness: "iad", Was: &v1alpha1.SealedBefore{Epoch: 2, Data: []byte("again")}}
	instead := next
	instead.By, instead.Instead, instead.Data = "fra", "iad", []byte("other")
	instead.Words = []v1alpha1.SealedWord{{By: "iad", Epoch: 3, Data: []byte("third")}}

	by("id-sin", r.group("empty", made("sin")))
	by("id-fra", r.group("readers", wrapped("iad")))
	must(r.try("id-fra", "otto", 0, r.whole(r.put(v1alpha1.KeyFleetSecrets+"db", secret("db")))...))
	asked()
	by("id-fra", r.group("readers", rotated("fra", "iad")))
	by("id-fra", sealing(again))
	by("id-iad", r.group("readers", proven))
	by("id-iad", sealing(confirmed))
	asked()
	by("id-iad", r.group("readers", rotated("iad", "fra")))
	by("id-iad", sealing(next))
	by("id-fra", sealing(instead))
	r.leave("iad")
	return append(all, ownWrite{r.store.View(), "id-iad", sealing(next)}, ownWrite{r.store.View(), "id-fra", r.group("readers", rotated("fra"))})
}

// allowed says whether a member may write a value under a key.
func (w ownWrite) allowed(key string, value []byte) bool {
	law := Authority{Address: transport.CheckAddress}
	return law.Authorize(w.view, store.Asker{Version: 1, Member: w.member}, store.Txn{Then: []store.Op{store.Put(key, value)}}) == nil
}

// cluster is whose member it is.
func (w ownWrite) cluster() string {
	m, _ := w.view.Member(w.member)
	return m.Cluster
}

func addWrites(f *testing.F, all []ownWrite, key string) {
	for i, w := range all {
		if w.op.Key == key {
			for member := range byte(3) {
				f.Add(byte(i), member, w.op.Value)
			}
		}
	}
}

// at is a state of the chronicle, in which a member writes.
func at(all []ownWrite, state, member byte) ownWrite {
	w := all[int(state)%len(all)]
	w.member = []store.MemberID{"id-fra", "id-iad", "id-sin"}[member%3]
	return w
}

// FuzzKeepsKeys: whatever a member writes as a group, it changes no word of people, lets nobody in who may not read, and takes the key from nobody
// who alone had it.
func FuzzKeepsKeys(f *testing.F) {
	all := chronicle(f)
	addWrites(f, all, readersGroup)
	f.Fuzz(func(t *testing.T, state, member byte, value []byte) {
		w := at(all, state, member)
		if !w.allowed(readersGroup, value) {
			return
		}
		kv, _ := w.view.Get(readersGroup)
		var was, is v1alpha1.RecipientGroup
		if json.Unmarshal(kv.Value, &was) != nil || json.Unmarshal(value, &is) != nil {
			t.Fatal("what cannot be read is written")
		}
		reads, ok := mayRead(w.view, &was.Spec, Change{})
		if !ok {
			t.Fatal("nobody says who reads")
		}
		if !reflect.DeepEqual(was.ObjectMeta, is.ObjectMeta) || !reflect.DeepEqual(was.Spec, is.Spec) {
			t.Error("a member changes what people say")
		}
		if !reads(w.cluster(), v1alpha1.KeyID("age of "+w.cluster())) {
			t.Error("it may not read")
		}
		for _, one := range is.Status.Wraps {
			there := slices.ContainsFunc(was.Status.Wraps, func(w v1alpha1.KeyWrap) bool { return sameWrap(w, one) })
			if !there && (!reads(one.Cluster, one.Key) || one.Epoch != is.Status.Epoch) {
				t.Errorf("%q gets the key %d, and may not read, or that is not the present one", one.Cluster, one.Epoch)
			}
		}
		switch another := is.Status.Epoch - was.Status.Epoch; {
		case another == 0 && (is.Status.Recipient != was.Status.Recipient || !reflect.DeepEqual(is.Status.Former, was.Status.Former)):
			t.Error("the key is another one, of the same epoch")
		case another == 1 && was.Status.Epoch > 0 && was.AnotherKey(reads, w.view.Time()) == "" && !was.Orphaned(reads):
			t.Error("another key is not due")
		case another == 1 && was.Status.Epoch > 0 && (len(is.Status.Former) == 0 || len(is.Status.Former[len(is.Status.Former)-1].Key) == 0):
			t.Error("the key before is not passed on")
		case another != 0 && another != 1:
			t.Errorf("the key %d comes after the key %d", is.Status.Epoch, was.Status.Epoch)
		}
		if keptBy(w.view, &was.Spec, was.Status, Change{}) && !keptBy(w.view, &was.Spec, is.Status, Change{}) {
			t.Error("nobody opens what is sealed any more")
		}
	})
}

// FuzzKeepsSealing: whatever a member writes of how a revision is sealed, it holds the group's present key, and writes in its own name or confirms
// what another one did; what was confirmed can still be opened.
func FuzzKeepsSealing(f *testing.F) {
	all := chronicle(f)
	addWrites(f, all, sealingOfDB)
	f.Fuzz(func(t *testing.T, state, member byte, value []byte) {
		w := at(all, state, member)
		if !w.allowed(sealingOfDB, value) {
			return
		}
		var g v1alpha1.RecipientGroup
		kv, _ := w.view.Get(readersGroup)
		if err := json.Unmarshal(kv.Value, &g); err != nil {
			t.Fatal(err)
		}
		var is, was v1alpha1.Sealing
		if json.Unmarshal(value, &is) != nil {
			t.Fatal("what cannot be read is written")
		}
		if is.Group != "readers" || is.Epoch != g.Status.Epoch || !g.Holds(w.cluster(), "age of "+w.cluster()) {
			t.Errorf("%s does not hold the key %d of group %q", w.cluster(), is.Epoch, is.Group)
		}
		before, there := w.view.Get(sealingOfDB)
		if there && json.Unmarshal(before.Value, &was) != nil {
			t.Fatal("what was there cannot be read")
		}
		if is.By != w.cluster() && (!there || was.By != is.By || is.Confirmed != w.cluster() || was.Epoch != is.Epoch || !bytes.Equal(is.Data, was.Data)) {
			t.Errorf("%s writes in the name of %s", w.cluster(), is.By)
		}
		if was.Confirmed != "" && was.Again() && !slices.ContainsFunc(v1alpha1.BelievedBy("", &is).Agreed, func(s v1alpha1.SealedAgain) bool { return bytes.Equal(s.Data, was.Data) }) {
			t.Error("what was confirmed is gone")
		}
	})
}

// TestTheChronicleIsAllowed: or the fuzz targets would begin with nothing.
func TestTheChronicleIsAllowed(t *testing.T) {
	all := chronicle(t)
	for i, w := range all[:len(all)-2] {
		if !w.allowed(w.op.Key, w.op.Value) {
			t.Errorf("%d: %s may not write %s", i, w.member, w.op.Value)
		}
	}
	if last := all[len(all)-1]; !last.allowed(last.op.Key, last.op.Value) {
		t.Error("fra makes no key once iad left")
	}
	if gone := all[len(all)-2]; gone.allowed(gone.op.Key, gone.op.Value) {
		t.Error("iad seals, and left")
	}
}
