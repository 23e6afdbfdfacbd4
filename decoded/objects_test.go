package decoded

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/consensus/store/storetest"
)

// TestObjects reads a store that changes, is restored, forgets what changed and begins new epochs, and sometimes a view that is older
// than the last: what is read is what is there, and what did not change is decoded once.
func TestObjects(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		st, read := store.New(nil), New[v1alpha1.Grant]("/grants/")
		ahead, index := store.New(nil), uint64(0) // the leader's: the store may lag behind it, and catch up by a snapshot
		var views []*store.View
		before := map[string]Object[v1alpha1.Grant]{}
		for range rapid.IntRange(1, 16).Draw(t, "rounds") {
			lags := rapid.IntRange(0, 3).Draw(t, "lags") == 0
			for range rapid.IntRange(0, 4).Draw(t, "writes") {
				index++
				entry := someEntry(t, index)
				storetest.Apply(t, ahead, index, entry)
				if !lags {
					storetest.Apply(t, st, index, entry)
				}
			}
			what := rapid.SampledFrom([]string{"", "", "", "", "", "", "", "", "", "", "", "", "epoch", "epoch", "epoch of an older view", "epoch of an older view", "forget"}).Draw(t, "what")
			switch from := ahead.View(); what {
			case "forget":
				for range store.MaxRecent/store.MaxOps + 1 {
					index++
					storetest.Apply(t, ahead, index, manyOthers(t))
				}
				lags = true
			case "epoch of an older view":
				// An epoch begins from the last one: two that began from one state are never seen by one life of a member.
				same := slices.DeleteFunc(slices.Clone(views), func(v *store.View) bool { return v.Epoch() != from.Epoch() })
				if len(same) > 0 {
					from = same[rapid.IntRange(0, len(same)-1).Draw(t, "from")]
				}
				fallthrough
			case "epoch":
				index++
				next, err := from.Succeed(store.Succession{ID: fmt.Sprint(index), Index: index, Ops: []store.Op{someOp(t, index)}})
				if err != nil {
					t.Fatal(err)
				}
				restoreFrom(t, ahead, next)
				lags = true
			}
			if lags {
				restoreFrom(t, st, ahead.Snapshot())
			}
			views = append(views, st.View())
			if rapid.IntRange(0, 3).Draw(t, "older") == 0 {
				older := views[rapid.IntRange(0, len(views)-1).Draw(t, "view")]
				got, err := read.List(older)
				if err != nil {
					t.Fatal(err)
				}
				asThere(t, got, older)
			}
			got, err := read.List(st.View())
			if err != nil {
				t.Fatal(err)
			}
			asThere(t, got, st.View())
			after := map[string]Object[v1alpha1.Grant]{}
			for _, o := range got {
				if old, was := before[o.Key]; was && old.Modified == o.Modified && old.Value != o.Value {
					t.Fatalf("%s is decoded again", o.Key)
				}
				after[o.Key] = o
			}
			before = after
		}
	})
}

// asThere fails unless what was read is what a view has.
func asThere(t *rapid.T, got []Object[v1alpha1.Grant], v *store.View) {
	t.Helper()
	there := v.List("/grants/")
	if len(got) != len(there) {
		t.Fatalf("%d objects are read of %d", len(got), len(there))
	}
	for i, kv := range there {
		o := got[i]
		if data, _ := json.Marshal(o.Value); o.Key != kv.Key || o.Modified != kv.Modified || string(data) != string(kv.Value) {
			t.Fatalf("read %s at %d: %s\nthere is %s at %d: %s", o.Key, o.Modified, data, kv.Key, kv.Modified, kv.Value)
		}
	}
}

// TestObjectsReadsOnlyWhatChanged looks twice at a view, and at one in which another kind changed: the same list comes again.
func TestObjectsReadsOnlyWhatChanged(t *testing.T) {
	st, read := store.New(nil), New[v1alpha1.Grant]("/grants/")
	storetest.Apply(t, st, 1, storetest.Entry(t, "", store.Put("/grant", []byte("{}"))))
	write := func(index uint64, op store.Op) []Object[v1alpha1.Grant] {
		storetest.Apply(t, st, index, storetest.Entry(t, "", op))
		all, err := read.List(st.View())
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	first := write(2, store.Put("/grants/a", []byte("{}")))
	if again := write(3, store.Put("/other", []byte("{}"))); len(first) != 1 || &again[0] != &first[0] {
		t.Errorf("%d objects are copied though none changed", len(again))
	}
	if more := write(4, store.Put("/grants/b", []byte("{}"))); len(first) != 1 || len(more) != 2 || more[0].Value != first[0].Value {
		t.Errorf("%d objects", len(more))
	}
	broken := storetest.Entry(t, "", store.Put("/grants/b", []byte("[")))
	storetest.Apply(t, st, 5, broken)
	for range 2 {
		if _, err := read.List(st.View()); err == nil {
			t.Error("what cannot be read is left out")
		}
		if all, garbled := read.Readable(st.View()); len(all) != 1 || len(garbled) != 1 || garbled["/grants/b"] == nil {
			t.Errorf("of one that can be read and one that cannot: %d, and %v", len(all), garbled)
		}
	}
	if all, garbled := New[v1alpha1.Grant]("/grants/").Readable(st.View()); len(all) != 1 || garbled["/grants/b"] == nil {
		t.Errorf("at the first look, of one that can be read and one that cannot: %d, and %v", len(all), garbled)
	}
	if all := write(6, store.Delete("/grants/b")); len(all) != 1 {
		t.Errorf("%d objects once what could not be read is gone", len(all))
	}
}

// someOp puts or deletes one of a few keys, under the prefix and beside it.
func someOp(t *rapid.T, index uint64) store.Op {
	key := rapid.SampledFrom([]string{"/grants/a", "/grants/b", "/grants/bb", "/grants/c", "/grant", "/grantz/a"}).Draw(t, "key")
	value, err := json.Marshal(v1alpha1.Grant{Bundle: fmt.Sprint(index)})
	if err != nil {
		t.Fatal(err)
	}
	return store.Put(key, value)
}

func someEntry(t *rapid.T, index uint64) []byte {
	op := someOp(t, index)
	if rapid.IntRange(0, 3).Draw(t, "delete") == 0 {
		op = store.Delete(op.Key)
	}
	return storetest.Entry(t, "", op)
}

// manyOthers writes as many keys beside the prefix as one transaction may.
func manyOthers(t rapid.TB) []byte {
	ops := make([]store.Op, store.MaxOps)
	for i := range ops {
		ops[i] = store.Put(fmt.Sprintf("/other/%d", i), nil)
	}
	return storetest.Entry(t, "", ops...)
}

func restoreFrom(t *rapid.T, st *store.Store, s *store.Snapshot) {
	var b bytes.Buffer
	if _, err := s.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	if err := st.Restore(&b); err != nil {
		t.Fatal(err)
	}
}
