package store

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var day = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// fleet has the members m, n and gone, the last of which was removed.
func fleet(t *testing.T) *fixture {
	f := newFixture(t)
	f.do(PutMember(member("m")), PutMember(member("n")), PutMember(member("gone")))
	f.do(RemoveMember(member("gone"), day)...)
	return f
}

func TestMembers(t *testing.T) {
	f := fleet(t)
	if diff := cmp.Diff([]Member{member("m"), member("n")}, f.View().Members()); diff != "" {
		t.Error(diff)
	}
	check := func(v *View) {
		t.Helper()
		if m, ok := v.Member("n"); !ok || !cmp.Equal(m, member("n")) {
			t.Errorf("got %+v, %v", m, ok)
		}
		if _, ok := v.Member("gone"); ok {
			t.Error("a removed member is a member")
		}
		gone := Removed{ID: "gone", Pin: member("gone").Pin, At: day}
		if r, ok := v.Removed("gone"); !ok || !cmp.Equal(r, gone) {
			t.Errorf("got %+v, %v", r, ok)
		}
		if id, removed, ok := v.FindPin(member("gone").Pin); id != "gone" || !removed || !ok {
			t.Errorf("pin of the removed: %v, %v, %v", id, removed, ok)
		}
		if id, removed, ok := v.FindPin(member("m").Pin); id != "m" || removed || !ok {
			t.Errorf("pin of a member: %v, %v, %v", id, removed, ok)
		}
		if _, _, ok := v.FindPin(Pin{1}); ok {
			t.Error("a pin of nobody was found")
		}
	}
	check(f.View())
	check(restored(t, nil, snapshot(t, f.Store)).View())
}

func TestMembershipRules(t *testing.T) {
	with := func(id string, change func(*Member)) Op {
		m := member(id)
		change(&m)
		return PutMember(m)
	}
	for _, tt := range []struct {
		name string
		ops  []Op
		want string
	}{
		{"a new member is taken", []Op{PutMember(member("o"))}, ""},
		{"a member may change", []Op{with("n", func(m *Member) { m.Region = "us" })}, ""},
		{"a member may be removed", RemoveMember(member("n"), day), ""},
		{"a member may remove itself", RemoveMember(member("m"), day), ""},
		{"one may go as another comes", append(RemoveMember(member("n"), day), PutMember(member("o"))), ""},
		{"a removed id never comes back", []Op{with("gone", func(m *Member) { m.Pin[31] = 9 })}, "was removed"},
		{"a removed pin never comes back", []Op{with("o", func(m *Member) { m.Pin = member("gone").Pin })}, "was removed with member gone"},
		{"a pin is not shared with a member", []Op{with("o", func(m *Member) { m.Pin = member("n").Pin })}, "is that of member n"},
		{"a pin is not shared by two new ones", []Op{PutMember(member("o")), with("p", func(m *Member) { m.Pin = member("o").Pin })}, "one pin"},
		{"a pin is not inherited", append(RemoveMember(member("n"), day), with("o", func(m *Member) { m.Pin = member("n").Pin })), "is that of member n"},
		{"a member's pin cannot change", []Op{with("n", func(m *Member) { m.Pin[31] = 9 })}, "cannot change"},
		{"a member has a pin", []Op{with("o", func(m *Member) { m.Pin = Pin{} })}, "no pin"},
		{"a member lies at its id", []Op{Put(KeyMembers+"o", PutMember(member("p")).Value)}, "id of another"},
		{"a member is JSON", []Op{Put(KeyMembers+"o", []byte("o"))}, "is no member"},
		{"a member is written in one way only", []Op{Put(KeyMembers+"o", append(PutMember(member("o")).Value, '\n'))}, "is no member"},
		{"a member is not deleted alone", []Op{Delete(KeyMembers + "n")}, "without /removed/n"},
		{"a removal is not written alone", RemoveMember(member("n"), day)[1:], "without a member being deleted"},
		{"a removal needs a member", RemoveMember(member("x"), day), "without a member being deleted"},
		{"a removal has the member's pin", RemoveMember(Member{ID: "n", Pin: Pin{9}}, day), "another pin"},
		{"a removal is JSON", []Op{Delete(KeyMembers + "n"), Put(KeyRemoved+"n", []byte("{}"))}, "is no removed member"},
		{"a removal stays", []Op{Delete(KeyRemoved + "gone")}, "cannot be deleted"},
		{"a removal does not change", RemoveMember(member("gone"), day.Add(time.Hour))[1:], "cannot be changed"},
		{"the last member stays", append(RemoveMember(member("m"), day), RemoveMember(member("n"), day)...), "last member"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := fleet(t)
			before := f.View().Revision()
			r := f.txn(Txn{Then: tt.ops})
			if tt.want == "" {
				if r.Err != nil {
					t.Error(r.Err)
				}
				return
			}
			var invalid *Invalid
			if !errors.As(r.Err, &invalid) || !strings.Contains(invalid.Reason, tt.want) || f.View().Revision() != before {
				t.Errorf("got %v, want %q", r.Err, tt.want)
			}
		})
	}
}

func TestProposers(t *testing.T) {
	propose := func(f *fixture, id MemberID, seq uint64) Result {
		return f.apply(Command{
			ID: CommandID{id, seq}, Proposer: id, Txn: &Txn{Then: []Op{Put("/by/"+string(id), nil)}},
		})[0]
	}
	var refused *Forbidden
	t.Run("that are no members are refused", func(t *testing.T) {
		f := fleet(t)
		for _, id := range []MemberID{"", "x", "gone"} {
			if r := propose(f, id, 1); !errors.As(r.Err, &refused) {
				t.Errorf("%q: %+v", id, r)
			}
		}
		chunk := Command{Proposer: "gone", Chunk: []byte("c")}
		if r := f.apply(chunk)[0]; !errors.As(r.Err, &refused) || f.View().chunks.byHash.Len() != 0 {
			t.Errorf("chunk: %+v", r)
		}
		if f.View().sessions.byMember.Len() != 1 {
			t.Error("outcomes of strangers are remembered")
		}
	})
	t.Run("may repeat, once they are members, what was refused before", func(t *testing.T) {
		f := fleet(t)
		propose(f, "o", 1)
		f.do(PutMember(member("o")))
		if r := propose(f, "o", 1); r.Err != nil {
			t.Error(r.Err)
		}
	})
	t.Run("are anyone while there is no member", func(t *testing.T) {
		f := newFixture(t)
		if r := propose(f, "x", 1); r.Err != nil {
			t.Error(r.Err)
		}
		f.do(PutMember(member("m")))
		if r := propose(f, "x", 2); !errors.As(r.Err, &refused) {
			t.Errorf("after the founding: %+v", r)
		}
		if _, kept := f.View().sessions.byMember.Get([]byte("x")); kept {
			t.Error("the session of one that is no member outlived the founding")
		}
	})
	t.Run("are cut off by the very command that removes them", func(t *testing.T) {
		f := fleet(t)
		propose(f, "n", 1)
		results := f.apply(
			f.command(Txn{Then: RemoveMember(member("n"), day)}),
			Command{ID: CommandID{"n", 2}, Proposer: "n", Txn: &Txn{Then: []Op{Put("/late", nil)}}},
			Command{ID: CommandID{"n", 1}, Proposer: "n", Txn: &Txn{Then: []Op{Put("/late", nil)}}},
		)
		if results[0].Err != nil || !errors.As(results[1].Err, &refused) || !errors.As(results[2].Err, &refused) {
			t.Errorf("got %+v", results)
		}
		if _, kept := f.View().sessions.byMember.Get([]byte("n")); kept {
			t.Error("the session of a removed member is kept")
		}
	})
	t.Run("that remove themselves leave no session", func(t *testing.T) {
		f := fleet(t)
		f.do(RemoveMember(member("m"), day)...)
		if f.View().sessions.byMember.Len() != 0 {
			t.Error("the session of a removed member is kept")
		}
	})
}
