package agent

import (
	"encoding/json"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// TestObjects reads a store that changes: what is read is what is there, and what did not change is decoded once.
func TestObjects(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		st, read := store.New(nil), newObjects[v1alpha1.Grant]("/grants/")
		before := map[string]object[v1alpha1.Grant]{}
		index := uint64(0)
		for range rapid.IntRange(1, 12).Draw(t, "rounds") {
			for range rapid.IntRange(0, 4).Draw(t, "writes") {
				index++
				writeSome(t, st, index)
			}
			v := st.View()
			got, err := read.list(v)
			if err != nil {
				t.Fatal(err)
			}
			there := v.List("/grants/")
			if len(got) != len(there) {
				t.Fatalf("%d objects are read of %d", len(got), len(there))
			}
			after := map[string]object[v1alpha1.Grant]{}
			for i, kv := range there {
				o := got[i]
				if data, _ := json.Marshal(o.value); o.key != kv.Key || o.modified != kv.Modified || string(data) != string(kv.Value) {
					t.Fatalf("read %s at %d: %s\nthere is %s at %d: %s", o.key, o.modified, data, kv.Key, kv.Modified, kv.Value)
				}
				if old, was := before[o.key]; was && old.modified == o.modified && old.value != o.value {
					t.Fatalf("%s is decoded again", o.key)
				}
				after[o.key] = o
			}
			before = after
		}
	})
}

// writeSome puts or deletes one of a few keys, under the prefix and beside it.
func writeSome(t *rapid.T, st *store.Store, index uint64) {
	key := rapid.SampledFrom([]string{"/grants/a", "/grants/b", "/grants/bb", "/grants/c", "/grant", "/grantz/a"}).Draw(t, "key")
	value, err := json.Marshal(v1alpha1.Grant{Bundle: fmt.Sprint(index)})
	if err != nil {
		t.Fatal(err)
	}
	op := store.Put(key, value)
	if rapid.IntRange(0, 3).Draw(t, "delete") == 0 {
		op = store.Delete(key)
	}
	data, err := store.EncodeEntry([]store.Command{{Version: store.Version, Txn: &store.Txn{Then: []store.Op{op}}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := st.Apply(index, 1, data); err != nil {
		t.Fatal(err)
	}
}
