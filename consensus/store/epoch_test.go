package store

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAnEpochBeginsFromAStateThatSurvived(t *testing.T) {
	f := newFixture(t)
	f.do(PutMember(member("m")), PutMember(member("n")), Put("/a", []byte("1")))
	f.do(Put("/b", nil))
	old := f.View()
	if diff := cmp.Diff(Epoch{Number: 1, ID: "m", Began: 1}, old.Epoch()); diff != "" {
		t.Fatal("the founding:", diff)
	}
	s, err := old.Succeed(Succession{ID: "second", Index: 77, Ops: append(RemoveMember(member("n"), day), Put("/a", []byte("2")))})
	if err != nil {
		t.Fatal(err)
	}
	g := restoredFixture(t, s)
	v := g.View()
	t.Run("2^32 revisions later", func(t *testing.T) {
		want := Epoch{Number: 2, ID: "second", Began: old.Revision() + Jump}
		if diff := cmp.Diff(want, v.Epoch()); diff != "" || v.Revision() != want.Began || v.Epoch().From() != old.Revision() {
			t.Errorf("revision %d: %s", v.Revision(), diff)
		}
	})
	t.Run("with its first transaction applied, and the rest as it was", func(t *testing.T) {
		want := []string{"/a=2@1/4294967298", "/b=@2/2"}
		if diff := cmp.Diff(want, keys(append(v.List("/a"), v.List("/b")...))); diff != "" {
			t.Error(diff)
		}
		if _, _, known := v.FindPin(member("n").Pin); !known || len(v.Members()) != 1 || v.Index() != 77 {
			t.Errorf("members %v, index %d", v.Members(), v.Index())
		}
	})
	t.Run("with a new history", func(t *testing.T) {
		if _, err := g.Watch("/", old.Revision()); !errors.Is(err, ErrCompacted) {
			t.Errorf("a watch from before: %v", err)
		}
	})
	t.Run("and what was decided before is a conflict", func(t *testing.T) {
		r := g.txn(Txn{If: []Condition{PrefixUnchanged("/z", old.Revision())}, Then: []Op{Put("/c", nil)}})
		if !errors.As(r.Err, new(*Conflict)) {
			t.Errorf("got %+v", r)
		}
	})
	t.Run("or void, when a leader decided it", func(t *testing.T) {
		c := g.command(Txn{Then: []Op{Put("/c", nil)}})
		c.Term, c.Epoch = g.term, old.Epoch().ID
		if r := g.apply(c)[0]; r.Err != ErrStaleTerm {
			t.Errorf("got %+v", r)
		}
		c = g.command(Txn{Then: []Op{Put("/c", nil)}})
		c.Term, c.Epoch = g.term, "second"
		if r := g.apply(c)[0]; r.Err != nil {
			t.Errorf("of this epoch: %+v", r)
		}
	})
	t.Run("and the state that it began from is left alone", func(t *testing.T) {
		if !bytes.Equal(snapshot(t, f.Store), snapshotOf(t, &Snapshot{view: old})) || old.Revision() != 2 {
			t.Error("it changed")
		}
	})
}

func TestAnEpochDoesNotBegin(t *testing.T) {
	f := newFixture(t)
	f.do(PutMember(member("m")))
	for _, tt := range []struct {
		name string
		s    Succession
	}{
		{"without an id", Succession{Ops: []Op{Put("/a", nil)}}},
		{"without a change", Succession{ID: "x"}},
		{"without a member", Succession{ID: "x", Ops: RemoveMember(member("m"), day)}},
		{"with a value that lies elsewhere", Succession{ID: "x", Ops: []Op{{Key: "/a", Chunks: []Hash{{1}}}}}},
		{"with a value that no key may have", Succession{ID: "x", Ops: []Op{Put("/a", make([]byte, MaxValue+1))}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := f.View().Succeed(tt.s); !errors.As(err, new(*Invalid)) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestAnEpochBeginsWithLargeValuesToo(t *testing.T) {
	f := newFixture(t)
	f.do(PutMember(member("m")))
	value := func(seed byte) []byte {
		v := make([]byte, 5*MaxInline)
		for i := range v {
			v[i] = byte(i*i>>8) ^ seed
		}
		return v
	}
	// Two keys that share their chunks, one of which is written over, and one of another content.
	next, err := f.View().Succeed(Succession{ID: "x", Ops: []Op{Put("/a", value(1)), Put("/b", value(1)), Put("/c", value(2))}})
	if err != nil {
		t.Fatal(err)
	}
	g := restoredFixture(t, next)
	g.do(Put("/a", []byte("small")))
	for key, want := range map[string][]byte{"/a": []byte("small"), "/b": value(1), "/c": value(2)} {
		if kv, ok := g.View().Get(key); !ok || !bytes.Equal(kv.Value, want) {
			t.Errorf("%s has %d bytes", key, len(kv.Value))
		}
	}
	if v := g.View(); v.chunks.looseBytes != 0 {
		t.Errorf("%d bytes are loose", v.chunks.looseBytes)
	}
}

// restoredFixture feeds a store that begins with a snapshot.
func restoredFixture(t testing.TB, s *Snapshot) *fixture {
	f := newFixture(t)
	f.Store = restored(t, nil, snapshotOf(t, s))
	f.index, f.seq = f.View().Index(), 1000
	return f
}

func snapshotOf(t testing.TB, s *Snapshot) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := s.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
