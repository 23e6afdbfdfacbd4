package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSplit(t *testing.T) {
	for _, size := range []int{0, 1, MaxInline, MaxInline + 1, MaxChunk, MaxChunk + 1, 1 << 20} {
		t.Run(fmt.Sprintf("puts %d bytes together again", size), func(t *testing.T) {
			value := noise(size, 7)
			parts := Split(value)
			if !bytes.Equal(bytes.Join(parts, nil), value) {
				t.Error("the parts are not the whole")
			}
			if size <= MaxInline && len(parts) != 1 {
				t.Errorf("a small value has %d parts", len(parts))
			}
			for i, p := range parts {
				if len(p) > MaxChunk || len(p) < splitMin && i < len(parts)-1 {
					t.Errorf("part %d has %d bytes", i, len(p))
				}
			}
		})
	}
	t.Run("has chunks of about 40 KiB", func(t *testing.T) {
		if n := len(Split(noise(8<<20, 3))); n < 150 || n > 300 {
			t.Errorf("8 MiB are %d chunks", n)
		}
	})
	t.Run("bounds chunks of a value without content", func(t *testing.T) {
		if n := len(Split(make([]byte, 1<<20))); n != 8 {
			t.Errorf("1 MiB of zeros are %d chunks", n)
		}
	})
	t.Run("shares what two values share", func(t *testing.T) {
		body := noise(2<<20, 5)
		a := Txn{Then: []Op{Put("/a", append([]byte("bundle "), body...))}}
		edit := append(append(bytes.Clone(body[:1<<20]), "an edit"...), body[1<<20:]...)
		_, first := SplitTxn(a)
		_, both := SplitTxn(Txn{Then: append(a.Then, Put("/b", append([]byte("a revision of it "), edit...)))})
		if more := len(both) - len(first); more > 4 {
			t.Errorf("an edit costs %d of %d chunks", more, len(first))
		}
	})
	t.Run("ends where it always did", func(t *testing.T) {
		var sizes []int
		for _, p := range Split(noise(256<<10, 1)) {
			sizes = append(sizes, len(p))
		}
		golden(t, "split.txt", []byte(fmt.Sprintln(sizes)))
	})
}

func TestSplitTxn(t *testing.T) {
	var many []Op
	for i := range 20 {
		many = append(many, Put(fmt.Sprintf("/%02d", i), noise(20<<10, uint64(i))))
	}
	for _, tt := range []struct {
		name string
		ops  []Op
		all  bool // whether no value is touched
	}{
		{"leaves small values alone", []Op{Put("/a", noise(MaxInline, 1)), Delete("/b")}, true},
		{"splits a large one", []Op{Put("/a", noise(MaxInline+1, 1)), Put("/b", []byte("b"))}, false},
		{"splits small ones that are too many", many, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			txn, parts := SplitTxn(Txn{Then: tt.ops})
			if tt.all != (len(parts) == 0) {
				t.Errorf("%d chunks", len(parts))
			}
			if _, err := EncodeEntry([]Command{f.command(txn)}); err != nil {
				t.Fatal(err)
			}
			f.do(f.upload(Txn{Then: tt.ops}).Then...)
			for _, op := range tt.ops {
				if kv, ok := f.View().Get(op.Key); ok == op.Delete || !bytes.Equal(kv.Value, op.Value) {
					t.Errorf("%s is not what was put", op.Key)
				}
			}
		})
	}
}

// stats counts what a store keeps.
func stats(f *fixture) string {
	c := f.View().chunks
	return fmt.Sprintf("%d chunks, %d loose, %d bytes", c.byHash.Len(), c.loose.Len(), c.looseBytes)
}

func TestChunks(t *testing.T) {
	value := noise(300<<10, 9)
	n := len(Split(value))
	txn, parts := SplitTxn(Txn{Then: []Op{Put("/a", value)}})
	want := func(t *testing.T, f *fixture, chunks, loose, bytes int) {
		t.Helper()
		if got := stats(f); got != fmt.Sprintf("%d chunks, %d loose, %d bytes", chunks, loose, bytes) {
			t.Errorf("got %s, want %d, %d, %d", got, chunks, loose, bytes)
		}
	}
	write := func(f *fixture, data []byte) {
		f.Helper()
		if r := f.apply(Command{Proposer: "m", Time: f.now, Chunk: data})[0]; r.Err != nil || r.Revision != f.View().Revision() {
			f.Error(r)
		}
	}
	t.Run("that are missing are named, and the same command works once they are there", func(t *testing.T) {
		f := newFixture(t)
		write(f, parts[1].Data)
		c := f.command(txn)
		var missing *MissingChunks
		if r := f.apply(c)[0]; !errors.As(r.Err, &missing) || len(missing.Hashes) != n-1 || missing.Hashes[0] != parts[0].Hash {
			t.Fatalf("got %+v", r)
		}
		f.upload(Txn{Then: []Op{Put("/a", value)}})
		if r := f.apply(c)[0]; r.Err != nil || r.Revision != 1 {
			t.Fatalf("got %+v", r)
		}
		want(t, f, n, 0, 0)
	})
	t.Run("are kept while any key refers to them", func(t *testing.T) {
		f := newFixture(t)
		f.do(f.upload(Txn{Then: []Op{Put("/a", value)}}).Then...)
		f.do(Op{Key: "/b", Chunks: txn.Then[0].Chunks})
		want(t, f, n, 0, 0)
		f.do(Delete("/a"))
		want(t, f, n, 0, 0)
		f.do(Op{Key: "/b", Chunks: txn.Then[0].Chunks[:1]})
		want(t, f, 1, 0, 0)
		f.do(Put("/b", []byte("small")))
		want(t, f, 0, 0, 0)
	})
	t.Run("may be in one value several times", func(t *testing.T) {
		f := newFixture(t)
		write(f, []byte("na"))
		h := hashOf("na")
		f.do(Op{Key: "/a", Chunks: []Hash{h, h, h}})
		if kv, _ := f.View().Get("/a"); string(kv.Value) != "nanana" {
			t.Errorf("got %q", kv.Value)
		}
		f.do(Op{Key: "/a", Chunks: []Hash{h}})
		want(t, f, 1, 0, 0)
		f.do(Delete("/a"))
		want(t, f, 0, 0, 0)
	})
	t.Run("that nobody refers to go by the time of the commands", func(t *testing.T) {
		f := newFixture(t)
		write(f, []byte("first"))
		f.now += int64(LooseTime) / 2
		write(f, []byte("second"))
		f.now += int64(LooseTime)/2 - 1
		f.txn(Txn{})
		want(t, f, 2, 2, 11)
		f.now++
		f.txn(Txn{})
		want(t, f, 1, 1, 6)
	})
	t.Run("wait anew when they are written again", func(t *testing.T) {
		f := newFixture(t)
		write(f, []byte("first"))
		f.now += int64(LooseTime) - 1
		write(f, []byte("first"))
		f.now += int64(LooseTime) - 1
		f.txn(Txn{})
		want(t, f, 1, 1, 5)
	})
	t.Run("that are too many push out the oldest", func(t *testing.T) {
		f := newFixture(t)
		for i := range MaxLoose/MaxChunk + 3 {
			f.now++
			write(f, binary.BigEndian.AppendUint64(make([]byte, MaxChunk-8), uint64(i)))
		}
		want(t, f, MaxLoose/MaxChunk, MaxLoose/MaxChunk, MaxLoose)
	})
	t.Run("may not make a value that is too large", func(t *testing.T) {
		f := newFixture(t)
		write(f, make([]byte, MaxChunk))
		h := hashOf(string(make([]byte, MaxChunk)))
		hashes := make([]Hash, MaxValue/MaxChunk+1)
		for i := range hashes {
			hashes[i] = h
		}
		f.do(Op{Key: "/a", Chunks: hashes[1:]})
		var invalid *Invalid
		if r := f.txn(Txn{Then: []Op{{Key: "/b", Chunks: hashes}}}); !errors.As(r.Err, &invalid) {
			t.Errorf("got %+v", r)
		}
		var ops []Op
		for i := range MaxTxn/MaxValue + 1 {
			ops = append(ops, Op{Key: fmt.Sprintf("/%d", i), Chunks: hashes[1:]})
		}
		if r := f.txn(Txn{Then: ops}); !errors.As(r.Err, &invalid) {
			t.Errorf("got %+v", r)
		}
	})
	t.Run("are in the snapshot, with how often they are referred to", func(t *testing.T) {
		f := newFixture(t)
		f.do(f.upload(Txn{Then: []Op{Put("/a", value)}}).Then...)
		f.do(Op{Key: "/b", Chunks: txn.Then[0].Chunks})
		write(f, []byte("loose"))
		g := &fixture{TB: t, Store: restored(t, nil, snapshot(t, f.Store)), term: 1, seq: f.seq, now: f.now}
		want(t, g, n+1, 1, 5)
		g.do(Delete("/a"))
		if kv, _ := g.View().Get("/b"); !bytes.Equal(kv.Value, value) {
			t.Error("the value is not what it was")
		}
		g.do(Delete("/b"))
		want(t, g, 1, 1, 5)
	})
	t.Run("of a value that is gone stay with whoever holds an older view", func(t *testing.T) {
		f := newFixture(t)
		f.do(f.upload(Txn{Then: []Op{Put("/a", value)}}).Then...)
		old := f.View()
		f.do(Delete("/a"))
		runtime.GC()
		if kv, ok := old.Get("/a"); !ok || !bytes.Equal(kv.Value, value) {
			t.Error("an older view changed")
		}
		w, err := f.Watch("/a", 1)
		if err != nil {
			t.Fatal(err)
		}
		b, err := w.Next(t.Context())
		if err != nil || !cmp.Equal(b.Events[0].Prev.Value, value) {
			t.Errorf("the deletion does not tell the value that was (%v)", err)
		}
	})
}

func TestLargeValuesAreShared(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // only where the test says
	f := newFixture(t)
	f.do(f.upload(Txn{Then: []Op{Put("/a", noise(1<<20, 1))}}).Then...)
	a, _ := f.View().Get("/a")
	b, _ := f.View().Get("/a")
	if &a.Value[0] != &b.Value[0] {
		t.Error("two readers in a row have two copies")
	}
	runtime.GC()
	c, _ := f.View().Get("/a")
	if &a.Value[0] == &c.Value[0] || !bytes.Equal(a.Value, c.Value) {
		t.Error("the whole outlives the garbage collector, or is another")
	}
	runtime.KeepAlive(a)
}
