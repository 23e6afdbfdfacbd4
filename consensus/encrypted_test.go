package consensus_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"

	"github.com/hashicorp/raft"

	"github.com/hanse-fleet/hanse/atrest"
	"github.com/hanse-fleet/hanse/atrest/atresttest"
	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/consensustest"
	"github.com/hanse-fleet/hanse/consensus/store"
)

const canary = "canary-4711-of-the-log"

// What a node writes with a key is nowhere in its folder, and opens with that key alone.
func TestAnEncryptedNode(t *testing.T) {
	for what, key := range map[string]*atrest.Key{"in the clear": nil, "encrypted": atresttest.Key(t)} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			snapshots := func() int {
				found, _ := filepath.Glob(filepath.Join(dir, "snapshots", "*[0-9]", "state.bin"))
				return len(found)
			}
			wrote := 0
			write := func(until func() bool) {
				node, _, err := lone(dir, key)
				if err != nil {
					t.Fatal(err)
				}
				defer node.Close()
				for ; !until(); wrote++ {
					if _, err := node.Propose(t.Context(), put(fmt.Sprintf("/k/%d", wrote), canary)); err != nil {
						t.Fatal(err)
					}
				}
			}
			write(func() bool { return snapshots() > 0 })
			last := wrote
			write(func() bool { return wrote > last })
			var found []string
			for name, content := range filesOf(t, dir) {
				if bytes.Contains(content, []byte(canary)) {
					found = append(found, name)
				}
			}
			if clear := strings.Contains(strings.Join(found, " "), "log.bolt") && strings.Contains(strings.Join(found, " "), "state.bin"); clear != (key == nil) || key != nil && len(found) > 0 {
				t.Errorf("it is in %q", found)
			}
			st := store.New(nil)
			if _, err := consensus.Inspect(dir, key, st); err != nil {
				t.Fatal(err)
			}
			if kv, ok := st.View().Get(fmt.Sprintf("/k/%d", last)); !ok || string(kv.Value) != canary {
				t.Errorf("read %q", kv.Value)
			}
			before := filesOf(t, dir)
			_, err := consensus.Inspect(dir, atresttest.Key(t), store.New(nil))
			wantDamaged(t, err)
			if key != nil {
				_, err := consensus.Inspect(dir, nil, store.New(nil))
				wantDamaged(t, err)
			}
			for name, content := range filesOf(t, dir) {
				if !bytes.Equal(before[name], content) && name != "log.bolt" { // bbolt's empty transaction at its opening
					t.Errorf("the wrong key changed %s", name)
				}
			}
		})
	}
}

// swapped is a log in which one entry lies in the place of each.
type swapped struct {
	raft.LogStore
	index uint64
}

func (s swapped) GetLog(_ uint64, l *raft.Log) error { return s.LogStore.GetLog(s.index, l) }

// An entry opens in its own place, with its own term and type; so does a value under its own key.
func TestWhatIsEncryptedOpensInItsPlaceAlone(t *testing.T) {
	d, key := consensustest.NewDisk(nil), atresttest.Key(t)
	raw, s := *d.Stores(), consensus.Encrypted(*d.Stores(), key)
	entry := raft.Log{Index: 7, Term: 3, Type: raft.LogCommand, Data: []byte(canary), Extensions: []byte("extensions")}
	if err := errors.Join(s.Log.StoreLog(&entry), s.Stable.Set([]byte("a"), []byte(canary)), s.Stable.SetUint64([]byte("n"), 812)); err != nil {
		t.Fatal(err)
	}
	var got raft.Log
	if err := s.Log.GetLog(7, &got); err != nil || string(got.Data) != canary || string(got.Extensions) != "extensions" {
		t.Fatalf("%+v, %v", got, err)
	}
	if n, err := s.Stable.GetUint64([]byte("n")); err != nil || n != 812 {
		t.Errorf("%d, %v", n, err)
	}
	var lies raft.Log
	if err := raw.Log.GetLog(7, &lies); err != nil || bytes.Contains(lies.Data, []byte(canary)) {
		t.Errorf("in the clear: %v", err)
	}
	for what, change := range map[string]func(*raft.Log){
		"another index":  func(l *raft.Log) { l.Index = 8 },
		"another term":   func(l *raft.Log) { l.Term = 4 },
		"another type":   func(l *raft.Log) { l.Type = raft.LogConfiguration },
		"extensions too": func(l *raft.Log) { l.Extensions = []byte{1} },
		"no data":        func(l *raft.Log) { l.Data = nil },
	} {
		changed := lies
		change(&changed)
		if err := raw.Log.StoreLog(&changed); err != nil {
			t.Fatal(err)
		}
		if err := s.Log.GetLog(changed.Index, &got); err == nil {
			t.Errorf("%s: opened", what)
		} else {
			wantDamaged(t, err)
		}
	}
	if err := raw.Log.StoreLog(&lies); err != nil {
		t.Fatal(err)
	}
	wantDamaged(t, consensus.Encrypted(consensus.Stores{Log: swapped{raw.Log, 7}, Stable: raw.Stable, Snapshots: raw.Snapshots}, key).Log.GetLog(9, &got))
	v, err := raw.Stable.Get([]byte("a"))
	if err != nil || bytes.Contains(v, []byte(canary)) {
		t.Errorf("in the clear: %v", err)
	}
	if err := raw.Stable.Set([]byte("b"), v); err != nil {
		t.Fatal(err)
	}
	_, err = s.Stable.Get([]byte("b"))
	wantDamaged(t, err)
	if _, err := s.Stable.Get([]byte("none")); err == nil || errors.As(err, new(*consensus.DamagedError)) {
		t.Errorf("none: %v", err)
	}
}

// mute is a store of snapshots whose disk does not answer after some bytes.
type mute struct {
	raft.SnapshotStore
	after int64
}

func (m mute) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	meta, r, err := m.SnapshotStore.Open(id)
	return meta, io.NopCloser(io.MultiReader(io.LimitReader(r, m.after), iotest.ErrReader(syscall.EIO))), err
}

func TestADiskThatDoesNotAnswerIsNotCalledDamaged(t *testing.T) {
	d, key := consensustest.NewDisk(nil), atresttest.Key(t)
	s := *d.Stores()
	if err := snap(consensus.Encrypted(s, key), 2, 1, strings.Repeat(canary, 10_000)); err != nil {
		t.Fatal(err)
	}
	metas, err := s.Snapshots.List()
	if err != nil || len(metas) != 1 {
		t.Fatal(metas, err)
	}
	for _, after := range []int64{10, 100_000} {
		s.Snapshots = mute{d.Stores().Snapshots, after}
		_, r, err := consensus.Encrypted(s, key).Snapshots.Open(metas[0].ID)
		if err == nil {
			_, err = io.Copy(io.Discard, r)
		}
		if !errors.Is(err, syscall.EIO) || errors.As(err, new(*consensus.DamagedError)) {
			t.Errorf("after %d bytes: %v", after, err)
		}
	}
}

// BenchmarkEncryption is what an entry costs beside the disk: written with its checksum, read and checked.
func BenchmarkEncryption(b *testing.B) {
	for what, key := range map[string]*atrest.Key{"clear": nil, "encrypted": atresttest.Key(b)} {
		for _, size := range []int{512, 16 << 10, 256 << 10} {
			b.Run(fmt.Sprintf("%s/entry=%d", what, size), func(b *testing.B) {
				s, err := consensus.CheckStores(consensus.Encrypted(*consensustest.NewDisk(nil).Stores(), key))
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(int64(size))
				data := make([]byte, size)
				for i := uint64(1); b.Loop(); i++ {
					var got raft.Log
					err := errors.Join(s.Log.StoreLog(&raft.Log{Index: i, Term: 1, Data: data}), s.Log.GetLog(i, &got))
					if err == nil && i%64 == 0 {
						err = s.Log.DeleteRange(1, i-1)
					}
					if err != nil || len(got.Data) != size {
						b.Fatal(len(got.Data), err)
					}
				}
			})
		}
	}
}
