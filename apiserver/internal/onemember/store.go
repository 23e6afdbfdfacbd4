// Package onemember is the replicated store of a fleet of one, without a log and without a disk: the real state
// machine, to which what is proposed is applied at once. Tests use it, and let it fail.
package onemember

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

const member = "11111111-2222-3333-4444-555555555555"

// Store is a store.Store that can be written to.
type Store struct {
	*store.Store
	// Before, when set, runs ahead of each proposal, so that somebody else can be faster. It must not propose.
	Before func(store.Txn)

	away  atomic.Pointer[error]
	floor atomic.Uint64

	mu      sync.Mutex
	index   uint64
	seq     uint64
	persons []string
}

// anything lets everybody do everything, and finds users as the law does.
type anything struct{}

// Authorize implements store.Authorizer.
func (anything) Authorize(*store.View, store.Asker, store.Txn) error { return nil }

// Term implements store.Indexer.
func (anything) Term(key string, value func() []byte) string { return v1alpha1.PinOfUser(key, value) }

// New makes a store at revision 1.
func New() *Store {
	s := &Store{Store: store.New(anything{})}
	s.Put("/other", "")
	return s
}

// Fail makes proposals and linearizable reads fail; nil ends that.
func (s *Store) Fail(err error) {
	if err == nil {
		s.away.Store(nil)
		return
	}
	s.away.Store(&err)
}

func (s *Store) failure() error {
	if err := s.away.Load(); err != nil {
		return *err
	}
	return nil
}

// Read is linearizable, as there is nobody else.
func (s *Store) Read(context.Context) (store.Revision, error) {
	return s.View().Revision(), s.failure()
}

// Propose applies a transaction.
func (s *Store) Propose(_ context.Context, person string, txn store.Txn) (store.Result, error) {
	if err := s.failure(); err != nil {
		return store.Result{}, err
	}
	if s.Before != nil {
		s.Before(txn)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.persons = append(s.persons, person)
	r := s.write(txn)
	return r, r.Err
}

// Put writes a key behind everybody's back.
func (s *Store) Put(key, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.write(store.Txn{Then: []store.Op{store.Put(key, []byte(value))}}); r.Err != nil {
		panic(r.Err)
	}
}

// Persons are those who proposed.
func (s *Store) Persons() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.persons...)
}

// write needs the lock.
func (s *Store) write(txn store.Txn) store.Result {
	txn, chunks := store.SplitTxn(txn)
	for _, c := range chunks {
		if r := s.apply(store.Command{Chunk: c.Data}); r.Err != nil {
			return r
		}
	}
	s.seq++
	return s.apply(store.Command{ID: store.CommandID{Incarnation: member, Seq: s.seq}, Txn: &txn})
}

func (s *Store) apply(c store.Command) store.Result {
	c.Proposer, c.Time = member, time.Now().UnixNano()
	entry, err := store.EncodeEntry([]store.Command{c})
	if err != nil {
		return store.Result{Err: err}
	}
	s.index++
	results, err := s.Apply(s.index, 1, entry)
	if err != nil {
		return store.Result{Err: err}
	}
	return results[0]
}

// Compact makes the history forget what was before a revision.
func (s *Store) Compact(before store.Revision) { s.floor.Store(uint64(before)) }

// Watch is the store's, with a history that may begin later.
func (s *Store) Watch(prefix string, after store.Revision) (*store.Watcher, error) {
	if uint64(after) < s.floor.Load() {
		return nil, store.ErrCompacted
	}
	return s.Store.Watch(prefix, after)
}
