// Package storetest makes stores, and views of them, that have what a test says.
package storetest

import (
	"encoding/json"
	"slices"

	"github.com/hanse-fleet/hanse/consensus/store"
)

// TB is what it needs of a test, of testing or of rapid.
type TB interface {
	Helper()
	Fatal(args ...any)
}

// View is a view of what Store makes.
func View(t TB, member store.Member, values map[string]any) *store.View {
	t.Helper()
	return Store(t, member, values).View()
}

// Store is a store with a member and some values, each as JSON, and without a law.
func Store(t TB, member store.Member, values map[string]any) *store.Store {
	t.Helper()
	return Stock(t, store.New(nil), member, values)
}

// Stock writes a member and some values into a store that has nothing yet.
func Stock(t TB, s *store.Store, member store.Member, values map[string]any) *store.Store {
	t.Helper()
	ops := []store.Op{store.PutMember(member)}
	for key, value := range values {
		data, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		ops = append(ops, store.Put(key, data))
	}
	index := uint64(0)
	for some := range slices.Chunk(ops, 100) { // an entry has its bound
		index++
		Apply(t, s, index, Entry(t, member.ID, some...))
	}
	return s
}

// Entry is an entry of the log with one transaction of a member; "": of nobody, in a store that has no members.
func Entry(t TB, by store.MemberID, ops ...store.Op) []byte {
	t.Helper()
	data, err := store.EncodeEntry([]store.Command{{Proposer: by, Txn: &store.Txn{Then: ops}}})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Apply gives a store the next entry of its log.
func Apply(t TB, s *store.Store, index uint64, entry []byte) {
	t.Helper()
	results, err := s.Apply(index, 1, entry)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
	}
}
