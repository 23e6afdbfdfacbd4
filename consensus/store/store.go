package store

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/hanse-fleet/hanse/internal/fault"
)

// Store is the state machine. Apply and Restore are called from one goroutine at a time; everything else from any.
// Readers of Views take no lock.
type Store struct {
	auth    Authorizer
	view    atomic.Pointer[View]
	history *history
	faults  fault.Set
}

// New makes an empty store. Without an Authorizer, every member may do everything.
func New(auth Authorizer) *Store { return NewFaulty(auth, fault.Set{}) }

// NewFaulty is New with known bugs put back, for tests.
func NewFaulty(auth Authorizer, faults fault.Set) *Store {
	s := &Store{auth: auth, history: newHistory(), faults: faults}
	s.view.Store(newView(auth))
	return s
}

// View is the state as it is now.
func (s *Store) View() *View { return s.view.Load() }

// Allows says why the Authorizer would refuse a transaction as the state is now; nil: it would not, or there is none. Nothing
// else is looked at, and nothing is written.
func (s *Store) Allows(who Asker, txn Txn) error {
	if s.auth == nil {
		return nil
	}
	v := s.View()
	who.Version = v.version
	if err := s.auth.Authorize(v, who, txn); err != nil {
		return forbidden(err)
	}
	return nil
}

// Apply applies one log entry and returns the outcome of each of its commands. An error (ErrNewerVersion or
// ErrMalformed) means that nothing of the entry was applied, and that nothing after it may be. Results must not be
// changed.
func (s *Store) Apply(index, term uint64, data []byte) ([]Result, error) {
	commands, err := decodeEntry(data, s.Applies())
	if err != nil {
		return nil, fmt.Errorf("apply entry %d: %w", index, err)
	}
	m := machine{auth: s.auth, term: term, applies: s.Applies(), view: *s.View()}
	m.view.index = index
	results := make([]Result, len(commands))
	for i := range commands {
		results[i] = m.apply(&commands[i])
	}
	if m.stop != nil {
		return nil, fmt.Errorf("apply entry %d: %w", index, m.stop)
	}
	m.settle()
	s.publish(&m.view, m.history, m.forgets)
	return results, nil
}

// publish shows a new state. Whoever sees a record in the history finds it in the View too.
func (s *Store) publish(v *View, records []record, forgets Revision) {
	h := s.history
	h.mu.Lock()
	defer h.mu.Unlock()
	s.view.Store(v)
	if len(records) > 0 {
		h.add(records)
		h.forget(forgets)
		h.wake()
	}
}

// WaitFor returns once the store has reached the revision.
func (s *Store) WaitFor(ctx context.Context, r Revision) error {
	for {
		changed := s.history.wait()
		if s.View().Revision() >= r {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}
