package store

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestConditions(t *testing.T) {
	// The store before each: /a/1 written at 1, /a/2 at 2 and deleted at 3, /b/1 written at 4 and 5.
	for _, tt := range []struct {
		name    string
		if_     Condition
		holds   bool
		current string
	}{
		{"a key at its revision", KeyAt("/a/1", 1), true, ""},
		{"a key at a later revision than its own", KeyAt("/a/1", 2), false, "/a/1@1"},
		{"a key at an earlier revision than its own", KeyAt("/b/1", 4), false, "/b/1@5"},
		{"a deleted key at the revision of its deletion", KeyAt("/a/2", 3), false, ""},
		{"a key that never was, at 0", KeyAt("/x", 0), false, ""},
		{"no key where none ever was", KeyAbsent("/x"), true, ""},
		{"no key where one was deleted", KeyAbsent("/a/2"), true, ""},
		{"no key where there is one", KeyAbsent("/a/1"), false, "/a/1@1"},
		{"no key where only a longer one is", KeyAbsent("/a"), true, ""},
		{"a prefix since its last write", PrefixUnchanged("/b/", 5), true, ""},
		{"a prefix since before its last write", PrefixUnchanged("/b/", 4), false, "/b/1@5"},
		{"a prefix since its last deletion", PrefixUnchanged("/a/", 3), true, ""},
		{"a prefix since before a deletion", PrefixUnchanged("/a/", 2), false, ""},
		{"a prefix since before an insertion", PrefixUnchanged("/a/", 0), false, "/a/1@1"},
		{"a prefix that never had keys", PrefixUnchanged("/x/", 0), true, ""},
		{"everything, since now", PrefixUnchanged("", 5), true, ""},
		{"everything, since before", PrefixUnchanged("", 4), false, "/b/1@5"},
		{"a prefix since the future", PrefixUnchanged("/x/", 6), false, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			f.do(Put("/a/1", nil))
			f.do(Put("/a/2", nil))
			f.do(Delete("/a/2"))
			f.do(Put("/b/1", nil))
			f.do(Put("/b/1", []byte("v")))
			r := f.txn(Txn{If: []Condition{PrefixUnchanged("", 5), tt.if_}, Then: []Op{Put("/done", nil)}})
			_, done := f.View().Get("/done")
			if tt.holds != done || tt.holds != (r.Err == nil) {
				t.Fatalf("applied %v with %v, want %v", done, r.Err, tt.holds)
			}
			if tt.holds {
				return
			}
			var c *Conflict
			if !errors.As(r.Err, &c) || c.Condition != tt.if_ || c.Index != 1 || r.Revision != 5 {
				t.Fatalf("got %+v", r)
			}
			if got := headString(c.Current); got != tt.current {
				t.Errorf("current is %q, want %q", got, tt.current)
			}
		})
	}
}

// TestAKeyAsItWasSeen: what rests on a key that was seen in a view holds until somebody writes it, deletes it, or makes it.
func TestAKeyAsItWasSeen(t *testing.T) {
	for name, tt := range map[string]struct {
		meanwhile Op
		holds     bool
	}{
		"another key is written":   {Put("/c", nil), true},
		"it is written":            {Put("/a", []byte("v")), false},
		"it is deleted":            {Delete("/a"), false},
		"one is made in its place": {Put("/b", nil), false},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.do(Put("/a", nil))
			seen := f.View()
			f.do(tt.meanwhile)
			r := f.txn(Txn{If: []Condition{seen.AsSeen("/a"), seen.AsSeen("/b")}, Then: []Op{Put("/done", nil)}})
			if tt.holds != (r.Err == nil) {
				t.Errorf("got %v, want %v", r.Err, tt.holds)
			}
		})
	}
}

func headString(kv *KV) string {
	if kv == nil {
		return ""
	}
	return fmt.Sprintf("%s@%d%s", kv.Key, kv.Modified, kv.Value)
}

func TestPrefixUnchangedForgets(t *testing.T) {
	f := newFixture(t)
	f.do(Put("/old/1", nil))
	since := f.do(Delete("/old/1"))
	for range MaxRecent/1000 + 2 {
		ops := make([]Op, 1000)
		for i := range ops {
			ops[i] = Put(fmt.Sprintf("/new/%d", i), nil)
		}
		f.do(ops...)
	}
	if n := f.View().recent.keys; n > MaxRecent {
		t.Errorf("%d changes are kept, want at most %d", n, MaxRecent)
	}
	check := func(since Revision) error {
		return f.txn(Txn{If: []Condition{PrefixUnchanged("/old/", since)}}).Err
	}
	if err := check(since - 1); err == nil {
		t.Error("a deletion too long ago to be known was taken for no change")
	}
	if err := check(f.View().recent.floor); err != nil {
		t.Errorf("since the first revision that is known: %v", err)
	}
	g := restored(t, nil, snapshot(t, f.Store))
	if g.View().recent.floor != f.View().recent.floor || f.View().recent.floor == 0 {
		t.Errorf("the floor is %d, restored %d", f.View().recent.floor, g.View().recent.floor)
	}
}

func TestRevisions(t *testing.T) {
	f := newFixture(t)
	for _, tt := range []struct {
		name string
		txn  Txn
		want Revision
	}{
		{"a transaction of nothing changes nothing", Txn{}, 0},
		{"a put makes a revision", Txn{Then: []Op{Put("/a", []byte("1"))}}, 1},
		{"several ops make one revision", Txn{Then: []Op{Put("/a", []byte("2")), Put("/b", nil)}}, 2},
		{"a put of the same value makes a revision", Txn{Then: []Op{Put("/a", []byte("2"))}}, 3},
		{"deleting what is not there changes nothing", Txn{Then: []Op{Delete("/c")}}, 3},
		{"a failed one changes nothing", Txn{If: []Condition{KeyAbsent("/a")}, Then: []Op{Delete("/a")}}, 3},
		{"a delete makes a revision", Txn{Then: []Op{Delete("/b"), Delete("/c")}}, 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if r := f.txn(tt.txn); r.Revision != tt.want || f.View().Revision() != tt.want {
				t.Errorf("result %+v, view %d, want %d", r, f.View().Revision(), tt.want)
			}
		})
	}
	if diff := cmp.Diff([]string{"/a=2@1/3"}, keys(f.View().List(""))); diff != "" {
		t.Error(diff)
	}
}

func TestCommandsOfOneEntry(t *testing.T) {
	f := newFixture(t)
	results := f.apply(
		f.command(Txn{Then: []Op{Put("/a", nil)}}),
		f.command(Txn{If: []Condition{KeyAbsent("/a")}, Then: []Op{Put("/b", nil)}}),
		f.command(Txn{If: []Condition{KeyAt("/a", 1)}, Then: []Op{Put("/c", nil)}}),
	)
	if results[0].Err != nil || results[1].Err == nil || results[2].Err != nil || results[2].Revision != 2 {
		t.Errorf("got %+v", results)
	}
	if diff := cmp.Diff([]string{"/a=@1/1", "/c=@2/2"}, keys(f.View().List(""))); diff != "" {
		t.Error(diff)
	}
}

func TestRepeatedCommands(t *testing.T) {
	t.Run("are answered from memory, a success and a refusal alike", func(t *testing.T) {
		f := newFixture(t)
		done := f.command(Txn{If: []Condition{KeyAbsent("/a")}, Then: []Op{Put("/a", nil)}})
		failed := f.command(Txn{If: []Condition{KeyAbsent("/a")}, Then: []Op{Put("/a", nil)}})
		first := f.apply(done, failed)
		f.do(Delete("/a"))
		if diff := cmp.Diff(first, f.apply(done, failed)); diff != "" {
			t.Error(diff)
		}
		g := &fixture{TB: t, Store: restored(t, nil, snapshot(t, f.Store)), term: 1}
		if diff := cmp.Diff(first, g.apply(done, failed)); diff != "" {
			t.Errorf("after a restore: %s", diff)
		}
		if n := g.View().Count(""); n != 0 {
			t.Errorf("%d keys, so it was applied again", n)
		}
	})
	t.Run("in one entry are applied once", func(t *testing.T) {
		f := newFixture(t)
		c := f.command(Txn{Then: []Op{Put("/a", nil)}})
		if r := f.apply(c, c); r[0] != r[1] || f.View().Revision() != 1 {
			t.Errorf("got %+v at revision %d", r, f.View().Revision())
		}
	})
	t.Run("may come late within the window, and are refused behind it", func(t *testing.T) {
		f := newFixture(t)
		at := func(seq uint64) Result {
			c := f.command(Txn{Then: []Op{Put(fmt.Sprintf("/%d", seq), nil)}})
			c.ID.Seq = seq
			return f.apply(c)[0]
		}
		at(5)
		at(5 + Window - 1)
		if r := at(6); r.Err != nil || r.Revision != 3 {
			t.Errorf("the oldest of the window: %+v", r)
		}
		if r := at(5); r.Err != nil || r.Revision != 1 {
			t.Errorf("the oldest of the window, again: %+v", r)
		}
		at(5 + Window)
		for _, seq := range []uint64{1, 4, 5} {
			if r := at(seq); r.Err != ErrTooOld || r.Revision != 4 {
				t.Errorf("seq %d: %+v", seq, r)
			}
		}
		if n := f.View().Count(""); n != 4 {
			t.Errorf("%d keys", n)
		}
	})
	t.Run("keep no more than the window", func(t *testing.T) {
		f := newFixture(t)
		for range 3 * Window {
			f.txn(Txn{})
		}
		known, _ := f.View().sessions.byMember.Get([]byte("m"))
		if known.outcomes.Len() != Window {
			t.Errorf("%d outcomes are kept", known.outcomes.Len())
		}
	})
	t.Run("of another member's name are refused", func(t *testing.T) {
		f := newFixture(t)
		c := f.command(Txn{Then: []Op{Put("/a", nil)}})
		c.Proposer = "n"
		var refused *Forbidden
		if r := f.apply(c)[0]; !errors.As(r.Err, &refused) {
			t.Errorf("got %+v", r)
		}
	})
	t.Run("of too many strangers are refused before the first member", func(t *testing.T) {
		f := newFixture(t)
		for i := range MaxSessions + 1 {
			id := MemberID(fmt.Sprint(i))
			r := f.apply(Command{ID: CommandID{id, 1}, Proposer: id, Txn: &Txn{}})[0]
			if (r.Err != nil) != (i == MaxSessions) {
				t.Fatalf("proposer %d: %+v", i, r)
			}
		}
	})
}

func TestTime(t *testing.T) {
	f := newFixture(t)
	for _, step := range []struct{ stamped, want int64 }{{5, 5}, {3, 5}, {9, 9}, {0, 9}} {
		f.now = step.stamped
		f.txn(Txn{})
		if got := f.View().Time(); !got.Equal(time.Unix(0, step.want)) {
			t.Errorf("after %d it is %v", step.stamped, got)
		}
	}
	if !New(nil).View().Time().IsZero() {
		t.Error("an empty store has a time")
	}
}

func TestLeadersDecisions(t *testing.T) {
	for _, tt := range []struct {
		name        string
		term, entry uint64
		want        error
	}{
		{"without a term are anyone's", 0, 7, nil},
		{"of the entry's term are applied", 7, 7, nil},
		{"of an earlier leader are void", 6, 7, ErrStaleTerm},
		{"of a later leader are void", 8, 7, ErrStaleTerm},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			f.term = tt.entry
			c := f.command(Txn{Then: []Op{Put("/a", nil)}})
			c.Term = tt.term
			if r := f.apply(c)[0]; r.Err != tt.want {
				t.Errorf("got %+v", r)
			}
			if _, done := f.View().Get("/a"); done != (tt.want == nil) {
				t.Errorf("applied: %v", done)
			}
		})
	}
}

type authorizer func(v *View, who Asker, txn Txn) error

func (a authorizer) Authorize(v *View, who Asker, txn Txn) error { return a(v, who, txn) }

func TestAuthorizer(t *testing.T) {
	var asked []Asker
	var saw Txn
	auth := authorizer(func(v *View, who Asker, txn Txn) error {
		asked, saw = append(asked, who), txn
		if who.Person == "eve" {
			return errors.New("no " + strings.Repeat("ö", MaxReason))
		}
		return nil
	})
	f := newFixture(t)
	f.auth = auth
	c := f.command(Txn{Then: []Op{Put("/a", nil)}})
	c.Person = "eve"
	r := f.apply(c)[0]
	var refused *Forbidden
	if !errors.As(r.Err, &refused) || len(refused.Reason) > MaxReason || f.View().Revision() != 0 {
		t.Errorf("got %+v", r)
	}
	if again := f.apply(c)[0]; again != r || len(asked) != 1 {
		t.Errorf("repeated: %+v, asked %d times", again, len(asked))
	}
	c = f.command(f.upload(Txn{Then: []Op{Put("/big", noise(200<<10, 1))}}))
	c.Term = f.term
	if r := f.apply(c)[0]; r.Err != nil {
		t.Error(r.Err)
	}
	if diff := cmp.Diff(Asker{Version: Version, Member: "m", Leading: true}, asked[len(asked)-1]); diff != "" {
		t.Error(diff)
	}
	if op := saw.Then[0]; len(op.Chunks) != 0 || !cmp.Equal(op.Value, noise(200<<10, 1)) {
		t.Error("a split value was not whole for the authorizer")
	}
	f.txn(Txn{If: []Condition{KeyAbsent("/big")}})
	if len(asked) != 2 {
		t.Error("asked about a transaction whose conditions do not hold")
	}
	before := f.View().Revision()
	if err := f.Allows(Asker{Member: "m", Person: "eve"}, Txn{Then: []Op{Put("/a", nil)}}); !errors.As(err, &refused) {
		t.Errorf("asked beforehand: %v", err)
	}
	if err := f.Allows(Asker{Member: "m", Person: "ann"}, Txn{Then: []Op{Put("/a", nil)}}); err != nil || asked[len(asked)-1].Version != Version || f.View().Revision() != before {
		t.Errorf("asked beforehand: %v, of %+v", err, asked[len(asked)-1])
	}
}

func TestLimits(t *testing.T) {
	long := "/" + strings.Repeat("k", MaxKey)
	many := make([]Op, MaxOps+1)
	for i := range many {
		many[i] = Delete(fmt.Sprintf("/%d", i))
	}
	for _, tt := range []struct {
		name string
		c    Command
		want string
	}{
		{"a key that is too long", Command{Txn: &Txn{Then: []Op{Delete(long)}}}, "key of 513 bytes"},
		{"a key without its slash", Command{Txn: &Txn{Then: []Op{Put("a", nil)}}}, "does not begin with /"},
		{"an empty key", Command{Txn: &Txn{Then: []Op{Put("", nil)}}}, "does not begin with /"},
		{"a key that is no text", Command{Txn: &Txn{Then: []Op{Put("/\xff", nil)}}}, "is not text"},
		{"a key twice", Command{Txn: &Txn{Then: []Op{Put("/a", nil), Delete("/a")}}}, "twice"},
		{"a value that is too large", Command{Txn: &Txn{Then: []Op{Put("/a", make([]byte, MaxValue+1))}}}, "16777217 bytes"},
		{"a delete with a value", Command{Txn: &Txn{Then: []Op{{Key: "/a", Delete: true, Value: []byte("v")}}}}, "deleted with"},
		{"a value and chunks", Command{Txn: &Txn{Then: []Op{{Key: "/a", Value: []byte("v"), Chunks: []Hash{{}}}}}}, "both"},
		{"too many ops", Command{Txn: &Txn{Then: many}}, "4097 ops"},
		{"a condition on a bad key", Command{Txn: &Txn{If: []Condition{KeyAbsent("x")}}}, "does not begin with /"},
		{"a condition on a bad prefix", Command{Txn: &Txn{If: []Condition{PrefixUnchanged("x", 0)}}}, "does not begin with /"},
		{"an unknown condition", Command{Txn: &Txn{If: []Condition{{Kind: 9, Key: "/a"}}}}, "unknown kind"},
		{"neither transaction nor chunk", Command{}, "either"},
		{"both transaction and chunk", Command{Txn: &Txn{}, Chunk: []byte("c")}, "either"},
		{"an empty chunk", Command{Chunk: []byte{}}, "chunk of 0 bytes"},
		{"a chunk that is too large", Command{Chunk: make([]byte, MaxChunk+1)}, "chunk of 131073 bytes"},
		{"a person that is no text", Command{Person: "\xff", Txn: &Txn{}}, "name"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var invalid *Invalid
			_, err := EncodeEntry([]Command{tt.c})
			if !errors.As(err, &invalid) || !strings.Contains(invalid.Reason, tt.want) {
				t.Errorf("encoding says %v, want %q", err, tt.want)
			}
			m := machine{view: *newView(nil)}
			if r := m.apply(&tt.c); !errors.As(r.Err, &invalid) || !strings.Contains(invalid.Reason, tt.want) {
				t.Errorf("applying says %v, want %q", r.Err, tt.want)
			}
		})
	}
	t.Run("an entry that is too large", func(t *testing.T) {
		half := Command{Chunk: make([]byte, MaxChunk)}
		if _, err := EncodeEntry([]Command{half, half}); !errors.Is(err, ErrTooLarge) {
			t.Errorf("got %v", err)
		}
		if _, err := EncodeEntry(nil); err == nil {
			t.Error("an entry of nothing")
		}
	})
}

// careless is an Authorizer to whom only what lies under /a/1 matters, and its deletion.
type careless struct{}

func (careless) Authorize(*View, Asker, Txn) error { return nil }

func (careless) Indifferent(Txn) func(KV) bool {
	return func(now KV) bool { return now.Key != "/a/1" || now.Modified != 0 }
}

func TestWhatIsOfNoMatterChangesNothingUnderAPrefix(t *testing.T) {
	f := newFixture(t)
	f.Store = New(careless{})
	since := f.do(Put("/a/1", nil))
	expecting := func() error {
		return f.txn(Txn{If: []Condition{PrefixUnchanged("/a/", since)}, Then: []Op{Put("/b", nil)}}).Err
	}
	f.do(Put("/a/1", []byte("again")))
	f.do(Put("/a/2", nil))
	if err := expecting(); err != nil {
		t.Errorf("what is of no matter: %v", err)
	}
	f.do(Delete("/a/1"))
	var conflict *Conflict
	if err := expecting(); !errors.As(err, &conflict) {
		t.Errorf("what matters: %v", err)
	}
}
