package store

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// everyFrame is a store whose snapshot has every kind of frame.
func everyFrame(t testing.TB) *fixture {
	f := newFixture(t)
	f.now = 1767323045000000000
	f.do(PutMember(member("m")), PutMember(member("n")))
	f.do(RemoveMember(member("n"), day)...)
	f.apply(Command{Proposer: "m", Time: f.now, Chunk: []byte("one")}, Command{Proposer: "m", Time: f.now, Chunk: []byte("two")})
	f.do(Op{Key: "/large", Chunks: []Hash{hashOf("one"), hashOf("one")}}, Put("/small", []byte("v")), Put("/empty", nil))
	f.do(Delete("/empty"))
	f.txn(Txn{If: []Condition{KeyAt("/small", 1)}})
	stale := f.command(Txn{})
	stale.Term = 99
	f.apply(stale)
	return f
}

func TestSnapshot(t *testing.T) {
	f := everyFrame(t)
	data := snapshot(t, f.Store)
	golden(t, "snapshot.bin", data)
	t.Run("brings back what was", func(t *testing.T) {
		g := restored(t, nil, data)
		if !bytes.Equal(data, snapshot(t, g)) {
			t.Error("the snapshot of the snapshot is another")
		}
		if diff := cmp.Diff(f.View().List(""), g.View().List("")); diff != "" {
			t.Error(diff)
		}
		if g.View().Revision() != f.View().Revision() || !g.View().Time().Equal(f.View().Time()) {
			t.Errorf("revision %d at %v", g.View().Revision(), g.View().Time())
		}
	})
	t.Run("stays as it was when taken", func(t *testing.T) {
		s := f.Snapshot()
		f.do(Put("/later", nil), Delete("/large"))
		var b bytes.Buffer
		if _, err := s.WriteTo(&b); err != nil || !bytes.Equal(b.Bytes(), data) {
			t.Errorf("it changed (%v)", err)
		}
	})
	t.Run("reports a writer that fails", func(t *testing.T) {
		if _, err := f.Snapshot().WriteTo(failingWriter{}); !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("reports a reader that fails", func(t *testing.T) {
		broken := io.MultiReader(bytes.NewReader(data[:100]), iotest.ErrReader(io.ErrNoProgress))
		if err := New(nil).Restore(broken); !errors.Is(err, io.ErrNoProgress) || errors.Is(err, ErrMalformed) {
			t.Errorf("got %v", err)
		}
	})
}

func TestAdvance(t *testing.T) {
	f := newFixture(t)
	f.do(Put("/a", nil))
	early := snapshot(t, f.Store)
	f.do(Put("/b", nil))
	late := snapshot(t, f.Store)
	for _, tt := range []struct {
		name           string
		at, data, want []byte
	}{
		{"takes a snapshot of more of the log", early, late, late},
		{"leaves the store alone for one of less of the log", late, early, late},
		{"leaves the store alone for one of as much of the log", late, late, late},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := restored(t, nil, tt.at)
			w := watch(t, s, "", s.View().Revision())
			if err := s.Advance(bytes.NewReader(tt.data)); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(snapshot(t, s), tt.want) {
				t.Error("the store is another")
			}
			if ended := len(drain(t, w)) > 0; ended == bytes.Equal(tt.at, tt.want) {
				t.Errorf("the watcher ended: %v", ended)
			}
		})
	}
	t.Run("refuses what is no snapshot, also when it would do nothing", func(t *testing.T) {
		if err := restored(t, nil, late).Advance(bytes.NewReader(early[:20])); !errors.Is(err, ErrMalformed) {
			t.Errorf("got %v", err)
		}
	})
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func TestSnapshotsThatAreRefused(t *testing.T) {
	data := snapshot(t, everyFrame(t).Store)
	refuse := func(t *testing.T, bad []byte, want error) {
		t.Helper()
		f := newFixture(t)
		f.do(Put("/a", nil))
		before := snapshot(t, f.Store)
		if err := f.Restore(bytes.NewReader(bad)); !errors.Is(err, want) {
			t.Fatalf("got %v", err)
		}
		if !bytes.Equal(before, snapshot(t, f.Store)) {
			t.Fatal("something was restored")
		}
	}
	t.Run("cut off anywhere", func(t *testing.T) {
		for n := range data {
			refuse(t, data[:n], ErrMalformed)
		}
	})
	t.Run("with any byte changed", func(t *testing.T) {
		for i := range data {
			bad := bytes.Clone(data)
			bad[i] ^= 0x55
			if i == len(snapshotMagic) {
				refuse(t, bad, ErrNewerVersion)
				continue
			}
			if err := New(nil).Restore(bytes.NewReader(bad)); err == nil {
				t.Fatalf("byte %d was changed, and nobody saw it", i)
			}
		}
	})
	t.Run("that go on", func(t *testing.T) { refuse(t, append(bytes.Clone(data), 0), ErrMalformed) })

	header := headerFrame{Revision: 9, Time: 9, Version: 1}
	h := hashOf("one")
	for _, tt := range []struct {
		name   string
		frames []any
		want   error
	}{
		{"of nothing", nil, ErrMalformed},
		{"with newer commands", []any{headerFrame{Version: Version + 1}}, ErrNewerVersion},
		{"without a header", []any{keyFrame{Key: "/a", Created: 1, Modified: 1}}, ErrMalformed},
		{"with two headers", []any{header, header}, ErrMalformed},
		{"with a bad floor", []any{headerFrame{Floor: 1}}, ErrMalformed},
		{"with frames in another order", []any{header, keyFrame{Key: "/a", Created: 1, Modified: 1}, chunkFrame{Data: []byte("c")}}, ErrMalformed},
		{"with keys in another order", []any{header, keyFrame{Key: "/b", Created: 1, Modified: 1}, keyFrame{Key: "/a", Created: 1, Modified: 1}}, ErrMalformed},
		{"with a key of no revision", []any{header, keyFrame{Key: "/a"}}, ErrMalformed},
		{"with a key of the future", []any{header, keyFrame{Key: "/a", Created: 1, Modified: 10}}, ErrMalformed},
		{"with a bad key", []any{header, keyFrame{Key: "a", Created: 1, Modified: 1}}, ErrMalformed},
		{"with a member that is none", []any{header, keyFrame{Key: KeyMembers + "a", Created: 1, Modified: 1}}, ErrMalformed},
		{"with a key whose chunks are missing", []any{header, keyFrame{Key: "/a", Created: 1, Modified: 1, Chunks: []Hash{h}}}, ErrMalformed},
		{"with a chunk twice", []any{header, chunkFrame{Data: []byte("c")}, chunkFrame{Data: []byte("c")}}, ErrMalformed},
		{"with an empty chunk", []any{header, chunkFrame{}}, ErrMalformed},
		{"with a chunk of the future", []any{header, chunkFrame{Data: []byte("c"), Written: 10}}, ErrMalformed},
		{"with a referenced chunk that is loose", []any{header, chunkFrame{Data: []byte("one"), Written: 5}, keyFrame{Key: "/a", Created: 1, Modified: 1, Chunks: []Hash{h}}}, ErrMalformed},
		{"with changes of the future", []any{header, recentFrame{Revision: 10, Keys: []string{"/a"}}}, ErrMalformed},
		{"with changes of nothing", []any{header, recentFrame{Revision: 1}}, ErrMalformed},
		{"with outcomes of nobody", []any{header, outcomeFrame{Seq: 1}}, ErrMalformed},
		{"with an outcome out of its window", []any{header, sessionFrame{"m", Window + 1}, outcomeFrame{Seq: 1}}, ErrMalformed},
		{"with an outcome of the future", []any{header, sessionFrame{"m", 1}, outcomeFrame{Seq: 1, Result: flatResult{Revision: 10}}}, ErrMalformed},
		{"with sessions in another order", []any{header, sessionFrame{"n", 1}, outcomeFrame{Seq: 1}, sessionFrame{"m", 1}, outcomeFrame{Seq: 1}}, ErrMalformed},
		{"with a session of no outcomes", []any{header, sessionFrame{"m", 1}}, ErrMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) { refuse(t, framesOf(tt.frames...), tt.want) })
	}
	t.Run("with a frame that is too large", func(t *testing.T) {
		refuse(t, append([]byte(snapshotMagic+"\x01"), 'H', 0xff, 0, 0, 0), ErrMalformed)
	})
}

// framesOf makes a snapshot with a valid checksum of frames.
func framesOf(frames ...any) []byte {
	var b bytes.Buffer
	f := &frameWriter{to: &b, sum: sha256.New()}
	f.write([]byte(snapshotMagic + "\x01"))
	for _, frame := range frames {
		f.frame(kindOf(frame), frame)
	}
	f.raw(frameEnd, f.sum.Sum(nil))
	return b.Bytes()
}

func kindOf(frame any) byte {
	switch frame.(type) {
	case headerFrame:
		return frameHeader
	case chunkFrame:
		return frameChunk
	case keyFrame:
		return frameKey
	case recentFrame:
		return frameRecent
	case sessionFrame:
		return frameSession
	}
	return frameOutcome
}

// FuzzSnapshot mends the checksum, so that the frames' contents are reached.
func FuzzSnapshot(f *testing.F) {
	data := snapshot(f, everyFrame(f).Store)
	const tail = 5 + sha256.Size
	f.Add(data[:len(data)-tail])
	header := headerFrame{Revision: 9, Time: 9, Version: 1}
	for _, frames := range [][]any{
		{header},
		{header, chunkFrame{Data: []byte("c"), Written: 3}},
		{header, chunkFrame{Data: []byte("one")}, keyFrame{Key: "/a", Created: 1, Modified: 2, Chunks: []Hash{hashOf("one")}}},
		{header, keyFrame{Key: "/a", Created: 1, Modified: 2, Value: []byte("v")}},
		{header, recentFrame{Revision: 2, Keys: []string{"/a", "/b"}}},
		{header, sessionFrame{"m", 2}, outcomeFrame{Seq: 2, Result: flatResult{Revision: 1}}},
	} {
		small := framesOf(frames...)
		f.Add(small[:len(small)-tail])
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var b bytes.Buffer
		w := &frameWriter{to: &b, sum: sha256.New()}
		w.write(body)
		w.raw(frameEnd, w.sum.Sum(nil))
		s := New(nil)
		if err := s.Restore(&b); err != nil {
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrNewerVersion) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		first := snapshot(t, s)
		g := &fixture{TB: t, Store: restored(t, nil, first), term: 1, seq: 1 << 40}
		if !bytes.Equal(first, snapshot(t, g.Store)) {
			t.Fatal("the snapshot of its snapshot is another")
		}
		for _, kv := range g.View().List("") {
			g.txn(Txn{Then: []Op{Delete(kv.Key)}})
		}
	})
}
