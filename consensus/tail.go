package consensus

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/raft"
)

// tail is the raft.LogStore between raft and the disk. raft writes a leader's entries to its own disk first and only
// then sends them; with a tail it sends them meanwhile. So a leader counts itself among those that have an entry while
// the entry is still in its memory. What follows from an entry waits instead:
//
//	the store applies it, so that it is acknowledged,
//	read or in a snapshot                                when the leader's disk has it (fsm.durable)
//	a follower hears that it is committed                when the leader's disk has it (link.appendEntries, nudge)
//	a follower hears of anything at all                  when our own disk has all that we hold (transport.deliver)
//	a configuration, and all before it                   is written before raft goes on: raft acts on those itself
//
// So nobody outside ever learns of a commit that is not on a majority of disks. Inside, a leader that lives has the entry
// in its log, and votes accordingly, whether its disk has it or not; one that dies takes with it all that it drew from
// the entry. Only a leader's entries wait here: a follower's are on its disk before it answers.
type tail struct {
	log raft.LogStore
	// leads says whether raft leads. Until it is set, nothing waits.
	leads atomic.Pointer[func() bool]
	// early puts back a bug: what is on its way to the disk counts as written.
	early bool
	// broken is closed when the disk failed: who waits for it ends, and answers nobody.
	broken <-chan struct{}
	kick   chan struct{}

	// snapshot is the last entry of the newest snapshot. Until it is set, no snapshot of another member is installed.
	snapshot func() (position, error)

	written  broadcast // sent when durable grows
	appended growth

	mu      sync.Mutex
	entries []*raft.Log // a leader's newest, without a gap; those above durable are on their way to the disk
	durable uint64      // the disk has every entry up to this index
	last    uint64      // the last entry, wherever it is
}

// keptEntries is how many entries of a leader stay in memory for its followers once the disk has them.
const keptEntries = 64

func newTail(log raft.LogStore, broken <-chan struct{}) (*tail, error) {
	last, err := log.LastIndex()
	if err != nil {
		return nil, err
	}
	return &tail{log: log, broken: broken, kick: make(chan struct{}, 1), durable: last, last: last}, nil
}

// StoreLogs implements raft.LogStore. raft's main loop calls it; it is the only one that adds entries.
func (t *tail) StoreLogs(logs []*raft.Log) error {
	t.appended.add(logs)
	if t.mayWait(logs) {
		t.add(logs)
		select {
		case t.kick <- struct{}{}:
		default:
		}
		return nil
	}
	t.drain()
	if err := t.log.StoreLogs(logs); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = logs[len(logs)-1].Index
	t.durable, t.entries = t.last, nil
	return nil
}

// StoreLog implements raft.LogStore.
func (t *tail) StoreLog(l *raft.Log) error { return t.StoreLogs([]*raft.Log{l}) }

// mayWait says whether raft may go on before the disk has the entries.
func (t *tail) mayWait(logs []*raft.Log) bool {
	if leads := t.leads.Load(); leads == nil || !(*leads)() {
		return false
	}
	for _, l := range logs {
		if l.Type == raft.LogConfiguration {
			return false
		}
	}
	return true
}

// add takes entries up that are to be written. After a snapshot of another member there is a gap before them.
func (t *tail) add(logs []*raft.Log) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if logs[0].Index != t.last+1 {
		t.entries = nil
	}
	t.entries = append(t.entries, logs...)
	t.last = logs[len(logs)-1].Index
}

// shrink forgets old entries that the disk has. The caller holds mu.
func (t *tail) shrink() {
	spare := len(t.entries) - keptEntries
	for spare > 0 && t.entries[spare-1].Index > t.durable {
		spare--
	}
	if spare > 0 {
		clear(t.entries[:spare])
		t.entries = t.entries[spare:]
	}
}

// writer is the goroutine that writes a tail.
type writer struct {
	stop chan struct{}
	done chan struct{}
}

func (t *tail) start() writer {
	w := writer{stop: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(w.done)
		t.routine(w.stop)
	}()
	return w
}

// end returns once everything is written, or the disk has failed.
func (w writer) end() {
	close(w.stop)
	<-w.done
}

// routine writes what waits until stop is closed. All that waits is one write.
func (t *tail) routine(stop <-chan struct{}) {
	for stopped := false; !stopped; {
		select {
		case <-t.kick:
		case <-stop:
			stopped = true
		}
		if logs := t.waiting(); len(logs) > 0 {
			t.write(logs)
		}
	}
}

func (t *tail) waiting() []*raft.Log {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, l := range t.entries {
		if l.Index > t.durable {
			return append([]*raft.Log(nil), t.entries[i:]...)
		}
	}
	return nil
}

// write does not return when the disk fails: the guard below ends the goroutine.
func (t *tail) write(logs []*raft.Log) {
	if t.log.StoreLogs(logs) != nil {
		return
	}
	t.mu.Lock()
	t.durable = logs[len(logs)-1].Index
	t.shrink()
	t.mu.Unlock()
	t.written.send()
}

// wait returns once the disk has the entry, and not at all when it failed.
func (t *tail) wait(index uint64) { t.waitFor(index, t.onDisk) }

func (t *tail) waitFor(index uint64, reached func() uint64) {
	for {
		written := t.written.wait()
		if reached() >= index {
			return
		}
		select {
		case <-written:
		case <-t.broken:
			runtime.Goexit()
		}
	}
}

// drain returns once the disk has everything, whatever is told: what the log does next comes behind it.
func (t *tail) drain() { t.waitFor(t.end(), t.reallyOnDisk) }

// flush returns once the disk has everything, as far as anybody is told.
func (t *tail) flush() { t.wait(t.end()) }

// end is the last entry.
func (t *tail) end() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last
}

// onDisk is the last entry up to which the disk has everything, as far as anybody is told.
func (t *tail) onDisk() uint64 {
	if t.early {
		return t.end()
	}
	return t.reallyOnDisk()
}

func (t *tail) reallyOnDisk() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.durable
}

// settled is the index, or the last entry that the disk has, as far as anybody is told, when entries behind that are on
// their way. A log that begins behind a snapshot has nothing of what is before it.
func (t *tail) settled(index uint64) uint64 {
	onDisk := t.onDisk()
	if onDisk >= t.end() {
		return index
	}
	return min(index, onDisk)
}

// GetLog implements raft.LogStore.
func (t *tail) GetLog(index uint64, l *raft.Log) error {
	if have := t.get(index); have != nil {
		*l = *have
		return nil
	}
	return t.log.GetLog(index, l)
}

func (t *tail) get(index uint64) *raft.Log {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.entries) == 0 || index < t.entries[0].Index || index > t.last {
		return nil
	}
	return t.entries[index-t.entries[0].Index]
}

// FirstIndex implements raft.LogStore.
func (t *tail) FirstIndex() (uint64, error) { return t.log.FirstIndex() }

// LastIndex implements raft.LogStore.
func (t *tail) LastIndex() (uint64, error) {
	t.drain()
	return t.log.LastIndex()
}

// IsMonotonic implements raft.MonotonicLogStore. raft asks when it has taken over another member's snapshot, and drops the
// log when it is true: the log does not have the snapshot's last entry, so what it has before it may never have been
// committed, and what it has behind it was not. A log that has it stays: we may have answered for what is behind it.
func (t *tail) IsMonotonic() bool {
	if t.snapshot == nil {
		return false
	}
	at, err := t.snapshot()
	if err != nil || at.index == 0 {
		return false // nothing is dropped because something else cannot be read
	}
	var l raft.Log
	if err := t.GetLog(at.index, &l); err != nil {
		return errors.Is(err, raft.ErrLogNotFound)
	}
	return l.Term != at.term
}

// DeleteRange implements raft.LogStore. raft's main loop cuts off the end, which a new leader contradicts; beside it,
// another goroutine cuts off the beginning, which a snapshot holds.
func (t *tail) DeleteRange(low, high uint64) error {
	t.drain()
	if err := t.log.DeleteRange(low, high); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if high >= t.last {
		t.durable, t.last = low-1, low-1
	}
	kept := t.entries[:0:0]
	for _, l := range t.entries {
		if l.Index < low && high >= t.last || l.Index > high {
			kept = append(kept, l)
		}
	}
	t.entries = kept
	return nil
}
