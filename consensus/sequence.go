package consensus

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/hanse-fleet/hanse/consensus/store"
)

// keySequence holds, in the stable store, a number above every sequence number that was given out.
var keySequence = []byte("HanseSequence")

// reserved is how many sequence numbers a node takes at its start. It never gives out that many.
const reserved = 1 << 32

// startSequence returns a number above all that this incarnation ever used, also when its clock went back.
func startSequence(stable raft.StableStore, now time.Time) (uint64, error) {
	old, err := readSequence(stable)
	if err != nil {
		return 0, err
	}
	start := max(uint64(now.UnixNano()), old)
	return start, writeSequence(stable, start+reserved)
}

// readSequence is 0 when none was written.
func readSequence(stable raft.StableStore) (uint64, error) {
	old, err := stable.Get(keySequence)
	switch {
	case err != nil && !isNotFound(err):
		return 0, fmt.Errorf("read sequence: %w", err)
	case err != nil || len(old) != 8:
		return 0, nil
	}
	return binary.BigEndian.Uint64(old), nil
}

func writeSequence(stable raft.StableStore, n uint64) error {
	if err := stable.Set(keySequence, binary.BigEndian.AppendUint64(nil, n)); err != nil {
		return fmt.Errorf("write sequence: %w", err)
	}
	return nil
}

// sequence gives numbers to proposals, and holds new ones back while an old one that is still under way would fall
// out of the window in which the store remembers outcomes.
type sequence struct {
	mu       sync.Mutex
	next     uint64
	underway map[uint64]struct{}
	low      uint64    // no number below it is under way
	freed    broadcast // sent when the oldest number may be done
}

func newSequence(start uint64) *sequence {
	return &sequence{next: start, underway: map[uint64]struct{}{}, low: start}
}

// begin returns the next number; done must follow.
func (s *sequence) begin(ctx context.Context) (uint64, error) {
	for {
		s.mu.Lock()
		if s.next-s.oldest() < store.Window/2 {
			seq := s.next
			s.next++
			s.underway[seq] = struct{}{}
			s.mu.Unlock()
			return seq, nil
		}
		freed := s.freed.wait()
		s.mu.Unlock()
		select {
		case <-freed:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// unused is a number that is nobody's, as it would be after a restart.
func (s *sequence) unused() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next++
	return s.next - 1
}

func (s *sequence) done(seq uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.underway, seq)
	s.freed.send()
}

// oldest number under way; the next one when none is. The caller holds mu.
func (s *sequence) oldest() uint64 {
	for ; s.low < s.next; s.low++ {
		if _, there := s.underway[s.low]; there {
			break
		}
	}
	return s.low
}
