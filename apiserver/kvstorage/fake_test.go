package kvstorage

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/consensus/store"
)

// fakeStore is the real state machine with a log of one member: what is proposed is applied at once.
type fakeStore struct {
	*store.Store
	mu    sync.Mutex
	index uint64
	seq   uint64
	// away makes proposals and reads fail with it.
	away  atomic.Pointer[error]
	floor atomic.Uint64
	// before runs ahead of each proposal, so that somebody else can be faster.
	before func(store.Txn)
	// persons are those who proposed.
	persons []string
}

func newFakeStore(t *testing.T) *fakeStore {
	t.Helper()
	f := &fakeStore{Store: store.New(nil)}
	f.increase(t) // revision 0 is no resourceVersion
	return f
}

func (f *fakeStore) lose(err error) { f.away.Store(&err) }

func (f *fakeStore) Read(context.Context) (store.Revision, error) {
	if err := f.away.Load(); err != nil {
		return 0, *err
	}
	return f.View().Revision(), nil
}

func (f *fakeStore) Propose(_ context.Context, person string, txn store.Txn) (store.Result, error) {
	if err := f.away.Load(); err != nil {
		return store.Result{}, *err
	}
	if f.before != nil {
		f.before(txn)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.persons = append(f.persons, person)
	txn, chunks := store.SplitTxn(txn)
	for _, c := range chunks {
		if r := f.apply(store.Command{Chunk: c.Data}); r.Err != nil {
			return r, nil
		}
	}
	f.seq++
	return f.apply(store.Command{ID: store.CommandID{Incarnation: "m", Seq: f.seq}, Txn: &txn}), nil
}

// apply needs the lock.
func (f *fakeStore) apply(c store.Command) store.Result {
	c.Proposer, c.Time = "m", time.Now().UnixNano()
	entry, err := store.EncodeEntry([]store.Command{c})
	if err != nil {
		return store.Result{Err: err}
	}
	f.index++
	results, err := f.Apply(f.index, 1, entry)
	if err != nil {
		return store.Result{Err: err}
	}
	return results[0]
}

// put writes a key behind the storage's back.
func (f *fakeStore) put(t *testing.T, key, value string) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seq++
	txn := store.Txn{Then: []store.Op{store.Put(key, []byte(value))}}
	if r := f.apply(store.Command{ID: store.CommandID{Incarnation: "m", Seq: f.seq}, Txn: &txn}); r.Err != nil {
		t.Fatalf("put %s: %v", key, r.Err)
	}
}

func (f *fakeStore) increase(t *testing.T) { f.put(t, "/other", time.Now().String()) }

// compact makes the history forget what was before a revision.
func (f *fakeStore) compact(before store.Revision) { f.floor.Store(uint64(before)) }

// Watch is the store's, with a history that begins later.
func (f *fakeStore) Watch(prefix string, after store.Revision) (*store.Watcher, error) {
	if uint64(after) < f.floor.Load() {
		return nil, store.ErrCompacted
	}
	return f.Store.Watch(prefix, after)
}
