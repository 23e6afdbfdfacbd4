package consensus

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/raft"

	"github.com/hanse-fleet/hanse/internal/virtual"
)

// slowLog takes a second for each write.
type slowLog struct {
	*raft.InmemStore
	writes []int // how many entries each write had
}

func (s *slowLog) StoreLogs(ls []*raft.Log) error {
	time.Sleep(time.Second)
	s.writes = append(s.writes, len(ls))
	return s.InmemStore.StoreLogs(ls)
}

func entriesOf(kind raft.LogType, from, to uint64) (logs []*raft.Log) {
	for i := from; i <= to; i++ {
		logs = append(logs, &raft.Log{Index: i, Term: 1, Type: kind, Data: []byte{byte(i)}})
	}
	return logs
}

func TestTail(t *testing.T) {
	// with runs f on a tail over a slow disk.
	with := func(t *testing.T, leads bool, f func(t *testing.T, l *tail, disk *slowLog)) {
		virtual.Test(t, func(t *testing.T) {
			disk := &slowLog{InmemStore: raft.NewInmemStore()}
			l, err := newTail(disk, nil)
			if err != nil {
				t.Fatal(err)
			}
			is := func() bool { return leads }
			l.leads.Store(&is)
			w := l.start()
			f(t, l, disk)
			w.end()
		})
	}
	store := func(t *testing.T, l *tail, logs []*raft.Log) (took time.Duration) {
		t.Helper()
		begun := time.Now()
		if err := l.StoreLogs(logs); err != nil {
			t.Fatal(err)
		}
		return time.Since(begun)
	}
	t.Run("a leader's entries are there at once, and waited for until the disk has them", func(t *testing.T) {
		with(t, true, func(t *testing.T, l *tail, disk *slowLog) {
			begun := time.Now()
			if took := store(t, l, entriesOf(raft.LogCommand, 1, 3)); took != 0 {
				t.Errorf("it took %s", took)
			}
			var got raft.Log
			if err := l.GetLog(2, &got); err != nil || got.Index != 2 {
				t.Errorf("entry %d, %v", got.Index, err)
			}
			if l.onDisk() != 0 {
				t.Error("it is on the disk already")
			}
			l.wait(2)
			if took := time.Since(begun); took != time.Second || l.onDisk() != 3 {
				t.Errorf("on the disk up to %d after %s", l.onDisk(), took)
			}
		})
	})
	t.Run("what comes during a write is the next, as a whole", func(t *testing.T) {
		with(t, true, func(t *testing.T, l *tail, disk *slowLog) {
			store(t, l, entriesOf(raft.LogCommand, 1, 1))
			synctest.Wait()
			for i := uint64(2); i < 10; i++ {
				store(t, l, entriesOf(raft.LogCommand, i, i))
			}
			l.flush()
			if diff := cmp.Diff([]int{1, 8}, disk.writes); diff != "" {
				t.Error(diff)
			}
		})
	})
	t.Run("a configuration is written before raft goes on, and all before it", func(t *testing.T) {
		with(t, true, func(t *testing.T, l *tail, disk *slowLog) {
			store(t, l, entriesOf(raft.LogCommand, 1, 1))
			if took := store(t, l, entriesOf(raft.LogConfiguration, 2, 2)); took != 2*time.Second || l.onDisk() != 2 {
				t.Errorf("on the disk up to %d after %s", l.onDisk(), took)
			}
		})
	})
	t.Run("a follower's entries are written before it answers", func(t *testing.T) {
		with(t, false, func(t *testing.T, l *tail, disk *slowLog) {
			if took := store(t, l, entriesOf(raft.LogCommand, 1, 3)); took != time.Second || l.onDisk() != 3 {
				t.Errorf("on the disk up to %d after %s", l.onDisk(), took)
			}
		})
	})
	t.Run("an end that was cut off is gone, and can be written anew", func(t *testing.T) {
		with(t, true, func(t *testing.T, l *tail, disk *slowLog) {
			store(t, l, entriesOf(raft.LogCommand, 1, 9))
			if err := l.DeleteRange(4, 9); err != nil {
				t.Fatal(err)
			}
			var got raft.Log
			if err := l.GetLog(4, &got); err != raft.ErrLogNotFound || l.onDisk() != 3 {
				t.Errorf("%v, on the disk up to %d", err, l.onDisk())
			}
			store(t, l, entriesOf(raft.LogCommand, 4, 5))
			l.wait(5)
			if last, err := l.LastIndex(); last != 5 || err != nil {
				t.Errorf("last %d, %v", last, err)
			}
		})
	})
	t.Run("the beginning may be cut off while the end is written", func(t *testing.T) {
		with(t, true, func(t *testing.T, l *tail, disk *slowLog) {
			store(t, l, entriesOf(raft.LogCommand, 1, 4))
			l.flush()
			store(t, l, entriesOf(raft.LogCommand, 5, 6))
			if err := l.DeleteRange(1, 3); err != nil {
				t.Fatal(err)
			}
			var got raft.Log
			if err := l.GetLog(6, &got); err != nil || got.Index != 6 || l.onDisk() != 6 {
				t.Errorf("entry %d, %v; on the disk up to %d", got.Index, err, l.onDisk())
			}
			if first, _ := l.FirstIndex(); first != 4 {
				t.Errorf("first %d", first)
			}
		})
	})
	t.Run("after another's snapshot the log goes on behind a gap", func(t *testing.T) {
		with(t, true, func(t *testing.T, l *tail, disk *slowLog) {
			store(t, l, entriesOf(raft.LogCommand, 1, 2))
			l.flush()
			store(t, l, entriesOf(raft.LogCommand, 101, 102))
			var got raft.Log
			if err := l.GetLog(101, &got); err != nil || got.Index != 101 {
				t.Errorf("entry %d, %v", got.Index, err)
			}
			if err := l.GetLog(2, &got); err != nil || got.Index != 2 {
				t.Errorf("entry %d, %v", got.Index, err)
			}
		})
	})
	t.Run("few entries stay in memory", func(t *testing.T) {
		with(t, true, func(t *testing.T, l *tail, disk *slowLog) {
			store(t, l, entriesOf(raft.LogCommand, 1, 10*keptEntries))
			l.flush()
			if len(l.entries) != keptEntries {
				t.Errorf("%d", len(l.entries))
			}
		})
	})
}
