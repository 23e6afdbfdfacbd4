package consensustest_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/consensustest"
	"github.com/hanse-fleet/hanse/internal/virtual"
)

func entries(from, to uint64) (out []*raft.Log) {
	for i := from; i <= to; i++ {
		out = append(out, &raft.Log{Index: i, Term: 1, Data: fmt.Append(nil, i)})
	}
	return out
}

// survivors lists which of the entries 1 to n are there.
func survivors(s *consensus.Stores, n uint64) (out []uint64) {
	for i := uint64(1); i <= n; i++ {
		var l raft.Log
		if s.Log.GetLog(i, &l) == nil {
			out = append(out, i)
		}
	}
	return out
}

func TestDisk(t *testing.T) {
	t.Run("an honest disk keeps through a crash all that returned, and the write under way whole or not at all", func(t *testing.T) {
		fates := map[int]bool{}
		for seed := range uint64(20) {
			virtual.Test(t, func(t *testing.T) {
				d := consensustest.NewDisk(rand.New(rand.NewPCG(seed, 0)))
				s := d.Stores()
				if err := s.Log.StoreLogs(entries(1, 3)); err != nil {
					t.Fatal(err)
				}
				d.Slow(time.Second)
				done := make(chan error)
				go func() { done <- s.Log.StoreLogs(entries(4, 6)) }()
				synctest.Wait()
				d.Crash()
				if err := <-done; !errors.Is(err, consensustest.ErrCrashed) {
					t.Errorf("the write under way got %v", err)
				}
				left := len(survivors(d.Stores(), 6))
				if left != 3 && left != 6 {
					t.Errorf("%d entries are left", left)
				}
				fates[left] = true
				if err := s.Log.StoreLog(entries(9, 9)[0]); !errors.Is(err, consensustest.ErrCrashed) {
					t.Errorf("dead stores answer %v", err)
				}
			})
		}
		if len(fates) != 2 {
			t.Errorf("only one fate was drawn: %v", fates)
		}
	})

	t.Run("a lying disk keeps, loses and tears what it acknowledged", func(t *testing.T) {
		fates := map[int]bool{}
		for seed := range uint64(50) {
			d := consensustest.NewDisk(rand.New(rand.NewPCG(seed, 0)))
			s := d.Stores()
			d.Lie(true)
			if err := s.Log.StoreLogs(entries(1, 3)); err != nil {
				t.Fatal(err)
			}
			d.Crash()
			fates[len(survivors(d.Stores(), 3))] = true
		}
		if !fates[0] || !fates[3] || !fates[1] && !fates[2] {
			t.Errorf("drawn: %v", fates)
		}
	})

	t.Run("what a lying disk took long ago is there", func(t *testing.T) {
		d := consensustest.NewDisk(nil)
		s := d.Stores()
		d.Lie(true)
		for i := range uint64(200) {
			if err := s.Log.StoreLogs(entries(i+1, i+1)); err != nil {
				t.Fatal(err)
			}
		}
		d.Crash()
		left := survivors(d.Stores(), 200)
		if len(left) < 136 || left[135] != 136 || len(left) == 200 {
			t.Errorf("left: %v", left)
		}
	})

	t.Run("a disk that stalls twice is released once", func(t *testing.T) {
		virtual.Test(t, func(t *testing.T) {
			d := consensustest.NewDisk(nil)
			s := d.Stores()
			done := make(chan error)
			for i := range uint64(2) {
				d.Stall()
				go func() { done <- s.Log.StoreLogs(entries(i+1, i+1)) }()
				synctest.Wait()
			}
			d.Release()
			if err := errors.Join(<-done, <-done); err != nil {
				t.Error(err)
			}
		})
	})

	t.Run("the nth write fails, and all after it", func(t *testing.T) {
		d := consensustest.NewDisk(nil)
		s := d.Stores()
		d.FailAt(3, syscall.EIO)
		for i := range uint64(5) {
			err := s.Log.StoreLogs(entries(i+1, i+1))
			if want := i >= 2; errors.Is(err, syscall.EIO) != want {
				t.Errorf("write %d: %v", i+1, err)
			}
		}
		if left := survivors(s, 5); len(left) > 3 {
			t.Errorf("left: %v", left)
		}
	})

	t.Run("the same seed has the same fate", func(t *testing.T) {
		run := func() string {
			d := consensustest.NewDisk(rand.New(rand.NewPCG(7, 0)))
			d.Lie(true)
			s := d.Stores()
			for i := range uint64(20) {
				s.Log.StoreLogs(entries(2*i+1, 2*i+2))
				s.Stable.Set(fmt.Append(nil, i), []byte("v"))
			}
			d.Crash()
			return fmt.Sprint(survivors(d.Stores(), 40), d.Rot(), d.Rot())
		}
		if a, b := run(), run(); a != b {
			t.Errorf("%s\n%s", a, b)
		}
	})
}

func TestWhatIsSavedInFilesIsLoadedAsItWas(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		d := consensustest.NewDisk(nil)
		s := d.Stores()
		if err := errors.Join(s.Log.StoreLogs(entries(7, 9)), s.Stable.Set([]byte("a"), []byte("b"))); err != nil {
			t.Fatal(err)
		}
		sink, err := s.Snapshots.Create(raft.SnapshotVersionMax, 6, 2, raft.Configuration{Servers: []raft.Server{{ID: "m", Address: "m"}}}, 5, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := sink.Write([]byte("state")); err != nil {
			t.Fatal(err)
		}
		if err := sink.Close(); err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(t.TempDir(), "raft")
		other := consensustest.NewDisk(nil)
		if err := errors.Join(d.Save(dir), other.Load(dir)); err != nil {
			t.Fatal(err)
		}
		got := other.Stores()
		if left := survivors(got, 12); !slices.Equal(left, []uint64{7, 8, 9}) {
			t.Errorf("entries %v", left)
		}
		if v, err := got.Stable.Get([]byte("a")); err != nil || string(v) != "b" {
			t.Errorf("a is %q: %v", v, err)
		}
		metas, err := got.Snapshots.List()
		if err != nil || len(metas) != 1 || metas[0].Index != 6 || metas[0].Term != 2 || metas[0].ConfigurationIndex != 5 || len(metas[0].Configuration.Servers) != 1 {
			t.Fatalf("snapshots %+v: %v", metas, err)
		}
		_, r, err := got.Snapshots.Open(metas[0].ID)
		if err != nil {
			t.Fatal(err)
		}
		if data, err := io.ReadAll(r); err != nil || string(data) != "state" {
			t.Errorf("state %q: %v", data, err)
		}
	})
}
