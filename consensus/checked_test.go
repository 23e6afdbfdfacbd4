package consensus_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/raft"

	"github.com/hanse-fleet/hanse/atrest"
	"github.com/hanse-fleet/hanse/atrest/atresttest"
	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/consensustest"
)

var updateGolden = flag.Bool("update", false, "write testdata again")

// filled is what fill puts on stores, and read reads from them.
type filled struct {
	First, Last uint64
	Log         []raft.Log
	Values      map[string]string
	Snapshot    string
	Meta        raft.SnapshotMeta
}

func configuration(ids ...string) (c raft.Configuration) {
	for _, id := range ids {
		c.Servers = append(c.Servers, raft.Server{ID: raft.ServerID(id), Address: raft.ServerAddress(id)})
	}
	return c
}

// fill writes a log that was cut at both ends, values, and two snapshots.
func fill(t testing.TB, s consensus.Stores) {
	t.Helper()
	at := time.Date(2026, 11, 25, 12, 0, 0, 7, time.FixedZone("elsewhere", 3600))
	entry := func(i, term uint64) *raft.Log {
		return &raft.Log{Index: i, Term: term, Type: raft.LogCommand, Data: fmt.Appendf(nil, "entry %d of term %d", i, term), AppendedAt: at}
	}
	steps := []func() error{
		func() error { return s.Stable.SetUint64([]byte("CurrentTerm"), 3) },
		func() error { return s.Log.StoreLogs([]*raft.Log{entry(1, 1), entry(2, 1), entry(3, 2)}) },
		func() error { return snap(s, 2, 1, "the older state") },
		func() error { return s.Stable.SetUint64([]byte("LastVoteTerm"), 3) },
		func() error { return s.Stable.Set([]byte("LastVoteCand"), []byte("fra")) },
		func() error { return s.Log.StoreLogs([]*raft.Log{entry(4, 2), entry(5, 2)}) },
		func() error { return s.Log.DeleteRange(4, 5) },
		func() error { return s.Log.StoreLogs([]*raft.Log{entry(4, 3), entry(5, 3)}) },
		func() error { return snap(s, 4, 3, "the newer state") },
		func() error { return s.Log.DeleteRange(1, 2) },
		func() error { return s.Stable.SetUint64([]byte("HanseApplied"), 4) },
	}
	for i, step := range steps {
		if err := step(); err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
	}
}

func snap(s consensus.Stores, index, term uint64, state string) error {
	_, transport := raft.NewInmemTransport("fra")
	sink, err := s.Snapshots.Create(1, index, term, configuration("fra", "iad"), 1, transport)
	if err != nil {
		return err
	}
	_, err = sink.Write([]byte(state))
	return errors.Join(err, sink.Close())
}

// read reads all that can be read.
func read(s consensus.Stores) (f filled, err error) {
	f.Values = map[string]string{}
	if f.First, err = s.Log.FirstIndex(); err != nil {
		return f, err
	}
	if f.Last, err = s.Log.LastIndex(); err != nil {
		return f, err
	}
	for i := f.First; i <= f.Last && i-f.First < 100; i++ {
		var l raft.Log
		if err := s.Log.GetLog(i, &l); err != nil {
			return f, err
		}
		f.Log = append(f.Log, l)
	}
	for _, k := range []string{"CurrentTerm", "LastVoteTerm", "LastVoteCand", "HanseApplied"} {
		v, err := s.Stable.Get([]byte(k))
		if err != nil {
			return f, err
		}
		f.Values[k] = string(v)
	}
	metas, err := s.Snapshots.List()
	if err != nil || len(metas) == 0 {
		return f, errors.Join(err, errors.New("no snapshot"))
	}
	meta, r, err := s.Snapshots.Open(metas[0].ID)
	if err != nil {
		return f, err
	}
	defer r.Close()
	state, err := io.ReadAll(r)
	f.Snapshot, f.Meta = string(state), *meta
	f.Meta.ID = "" // it has the time in it
	return f, err
}

// mustOpen checks stores that are whole.
func mustOpen(t testing.TB, s consensus.Stores) consensus.Stores {
	t.Helper()
	checked, err := consensus.CheckStores(s)
	if err != nil {
		t.Fatal(err)
	}
	return checked
}

// Everything that holds of stores holds of encrypted ones: the key is under what checks them.
func TestCheckedStores(t *testing.T) {
	t.Run("in the clear", func(t *testing.T) { checkedStores(t, nil) })
	t.Run("encrypted", func(t *testing.T) { checkedStores(t, atresttest.Key(t)) })
}

func checkedStores(t *testing.T, key *atrest.Key) {
	on := func(d *consensustest.Disk) consensus.Stores { return consensus.Encrypted(*d.Stores(), key) }

	t.Run("what was written is read, before and after a restart", func(t *testing.T) {
		d := consensustest.NewDisk(nil)
		s := mustOpen(t, on(d))
		fill(t, s)
		before, err := read(s)
		if err != nil {
			t.Fatal(err)
		}
		if before.Snapshot != "the newer state" || before.Meta.Size != int64(len(before.Snapshot)) || len(before.Log) != 3 {
			t.Errorf("read %+v", before)
		}
		for _, l := range before.Log {
			if l.Extensions != nil {
				t.Errorf("the checksum of entry %d would leave the member", l.Index)
			}
		}
		after, err := read(mustOpen(t, on(d)))
		if diff := cmp.Diff(before, after); diff != "" || err != nil {
			t.Errorf("%v %s", err, diff)
		}
	})

	t.Run("a flipped bit is refused at start, or is where nobody reads", func(t *testing.T) {
		refused, places := 0, map[string]bool{}
		for seed := range uint64(2000) {
			d := consensustest.NewDisk(rand.New(rand.NewPCG(seed, 0)))
			s := mustOpen(t, on(d))
			fill(t, s)
			want, _ := read(s)
			where := d.Rot()
			places[where] = true
			s, err := consensus.CheckStores(on(d))
			if err != nil {
				wantDamaged(t, err)
				refused++
				continue
			}
			if got, err := read(s); err != nil || !cmp.Equal(got, want) {
				t.Errorf("seed %d, %s: %v %s", seed, where, err, cmp.Diff(want, got))
			}
			if where != "snapshot 1-2" { // the older one
				t.Errorf("seed %d: the bit in %s was not seen", seed, where)
			}
		}
		if refused < 1000 || len(places) < 7 {
			t.Errorf("%d refused, in %v", refused, places)
		}
	})

	t.Run("a flipped bit is refused when it is read", func(t *testing.T) {
		for seed := range uint64(500) {
			d := consensustest.NewDisk(rand.New(rand.NewPCG(seed, 1)))
			s := mustOpen(t, on(d))
			fill(t, s)
			want, _ := read(s)
			where := d.Rot()
			got, err := read(s)
			if err != nil {
				wantDamaged(t, err)
			} else if !cmp.Equal(got, want) {
				t.Errorf("seed %d, %s: %s", seed, where, cmp.Diff(want, got))
			}
		}
	})

	t.Run("what is missing, swapped or of another time is refused", func(t *testing.T) {
		for what, harm := range map[string]func(raw consensus.Stores){
			"an entry":            func(raw consensus.Stores) { raw.Log.DeleteRange(4, 4) },
			"the last entry":      func(raw consensus.Stores) { raw.Log.DeleteRange(5, 5) },
			"the first entry":     func(raw consensus.Stores) { raw.Log.DeleteRange(3, 3) },
			"the whole log":       func(raw consensus.Stores) { raw.Log.DeleteRange(0, 9) },
			"the head of the log": func(raw consensus.Stores) { raw.Log.DeleteRange(0, 0) },
			"an entry in another's place": func(raw consensus.Stores) {
				var l raft.Log
				raw.Log.GetLog(4, &l)
				l.Index = 5
				raw.Log.StoreLog(&l)
			},
			"an older head": func(raw consensus.Stores) {
				old := consensustest.NewDisk(nil)
				s := mustOpen(t, on(old))
				s.Stable.SetUint64([]byte("CurrentTerm"), 1)
				s.Log.StoreLogs([]*raft.Log{{Index: 1, Term: 1}, {Index: 2, Term: 1}, {Index: 3, Term: 1}, {Index: 4, Term: 1}})
				var l raft.Log
				old.GetLog(0, &l)
				raw.Log.StoreLog(&l)
			},
			"older values": func(raw consensus.Stores) {
				old := consensustest.NewDisk(nil)
				s := mustOpen(t, on(old))
				s.Stable.SetUint64([]byte("CurrentTerm"), 3)
				v, _ := old.Stores().Stable.Get([]byte("HanseValues"))
				raw.Stable.Set([]byte("HanseValues"), v)
			},
		} {
			d := consensustest.NewDisk(nil)
			fill(t, mustOpen(t, on(d)))
			harm(*d.Stores())
			if _, err := consensus.CheckStores(on(d)); err == nil {
				t.Errorf("%s: not refused", what)
			} else {
				wantDamaged(t, err)
			}
		}
	})

	t.Run("a crash at any write is no damage, and loses nothing that returned", func(t *testing.T) {
		for seed := range uint64(200) {
			rng := rand.New(rand.NewPCG(seed, 2))
			d := consensustest.NewDisk(rng)
			d.FailAt(1+rng.IntN(25), consensustest.ErrCrashed)
			var last, term uint64
			s, err := consensus.CheckStores(on(d))
			for i := uint64(1); err == nil && i < 100; i++ {
				switch rng.IntN(4) {
				case 0:
					if err = s.Stable.SetUint64([]byte("CurrentTerm"), i); err == nil {
						term = i
					}
				case 1:
					if last > 2 && s.Log.DeleteRange(last, last) == nil {
						last--
					}
				default:
					if err = s.Log.StoreLogs([]*raft.Log{{Index: last + 1, Term: term}}); err == nil {
						last++
					}
				}
			}
			d.Crash()
			d.Fail(nil)
			d.FailAt(0, nil)
			s, err = consensus.CheckStores(on(d))
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			if got, _ := s.Log.LastIndex(); got+1 < last || got > last+1 {
				t.Errorf("seed %d: last %d, want about %d", seed, got, last)
			}
			if got, err := s.Stable.GetUint64([]byte("CurrentTerm")); err == nil && got < term {
				t.Errorf("seed %d: term %d, was %d", seed, got, term)
			}
		}
	})

	t.Run("behind a snapshot that was sent, the log begins anew; elsewhere a gap is refused", func(t *testing.T) {
		d := consensustest.NewDisk(nil)
		s := mustOpen(t, on(d))
		s.Stable.SetUint64([]byte("CurrentTerm"), 1)
		s.Log.StoreLogs([]*raft.Log{{Index: 1, Term: 1}, {Index: 2, Term: 1}})
		if err := s.Log.StoreLog(&raft.Log{Index: 9, Term: 1}); err == nil {
			t.Error("the log has a gap")
		}
		if err := snap(s, 8, 1, "sent"); err != nil {
			t.Fatal(err)
		}
		s = mustOpen(t, on(d)) // a crash before raft went on
		if err := s.Log.StoreLog(&raft.Log{Index: 9, Term: 1}); err != nil {
			t.Error(err)
		}
		s = mustOpen(t, on(d))
		if first, _ := s.Log.FirstIndex(); first != 9 {
			t.Errorf("the log begins at %d", first)
		}
	})
}

func TestASnapshotThatRotsWhileItIsSentNeverEndsWell(t *testing.T) {
	d := consensustest.NewDisk(nil)
	s := mustOpen(t, *d.Stores())
	s.Stable.SetUint64([]byte("CurrentTerm"), 1)
	if err := snap(s, 8, 1, "state"); err != nil {
		t.Fatal(err)
	}
	whole := rawSnapshot(t, d)
	for i := range whole {
		spoilt := bytes.Clone(whole)
		spoilt[i] ^= 1
		_, r, err := consensus.OpenContent(spoilt, raft.SnapshotMeta{
			Version: 1, Index: 8, Term: 1, Configuration: configuration("fra", "iad"), ConfigurationIndex: 1, Size: int64(len(spoilt)),
		})
		if err == nil {
			var got []byte
			got, err = io.ReadAll(r)
			if len(got) >= len("state") {
				t.Errorf("byte %d: all of it was given out: %q", i, got)
			}
		}
		if err == nil {
			t.Errorf("byte %d: not refused", i)
		} else {
			wantDamaged(t, err)
		}
	}
}

func rawSnapshot(t *testing.T, d *consensustest.Disk) []byte {
	t.Helper()
	s := d.Stores()
	metas, err := s.Snapshots.List()
	if err != nil || len(metas) == 0 {
		t.Fatal("no snapshot", err)
	}
	_, r, err := s.Snapshots.Open(metas[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func wantDamaged(t *testing.T, err error) {
	t.Helper()
	if damaged := new(consensus.DamagedError); !errors.As(err, &damaged) {
		t.Errorf("not known as damage: %v", err)
	}
}

func TestASnapshotThatMadeWayIsNoDamage(t *testing.T) {
	s, err := consensus.CheckStores(*consensustest.NewDisk(nil).Stores())
	if err != nil {
		t.Fatal(err)
	}
	if err := snap(s, 1, 1, "first"); err != nil {
		t.Fatal(err)
	}
	metas, err := s.Snapshots.List() // as a leader does, before it sends one
	if err != nil || len(metas) == 0 {
		t.Fatalf("listed %d: %v", len(metas), err)
	}
	for i := range uint64(3) {
		if err := snap(s, 2+i, 1, "later"); err != nil {
			t.Fatal(err)
		}
	}
	_, _, err = s.Snapshots.Open(metas[0].ID)
	if damaged := new(consensus.DamagedError); err == nil || errors.As(err, &damaged) {
		t.Errorf("opened with: %v", err)
	}
}

// TestDiskFormats compares what lies on a disk with version 1 of the formats.
func TestDiskFormats(t *testing.T) {
	d := consensustest.NewDisk(nil)
	s := mustOpen(t, *d.Stores())
	fill(t, s)
	for name, index := range map[string]uint64{"entry": 4, "head": 0} {
		var l raft.Log
		if err := d.GetLog(index, &l); err != nil {
			t.Fatal(err)
		}
		golden(t, name+".bin", append(l.Data, l.Extensions...))
	}
	v, err := d.Stores().Stable.Get([]byte("HanseValues"))
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "values.bin", v)
	golden(t, "content.bin", rawSnapshot(t, d))
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", "disk", name)
	if *updateGolden {
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, got, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s: got\n%q\nwant\n%q", name, got, want)
	}
}
