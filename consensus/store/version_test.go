package store

import (
	"bytes"
	"errors"
	"testing"

	"github.com/hanse-fleet/hanse/internal/fault"
)

// able is a member that can apply a version.
func able(id string, version uint64) Member {
	m := member(id)
	m.Applies = version
	return m
}

func newer() *Store { return NewFaulty(nil, fault.Set{NextVersion: true}) }

func TestTheVersionIsRaisedByOneOnceAllCan(t *testing.T) {
	f := newFixture(t)
	f.Store = newer()
	f.do(PutMember(able("m", 2)), PutMember(able("n", 1)))
	refused := func(why string, ops ...Op) {
		t.Helper()
		var invalid *Invalid
		if r := f.txn(Txn{Then: ops}); !errors.As(r.Err, &invalid) {
			t.Errorf("%s: %v", why, r.Err)
		}
		if v := f.View().Version(); v != 1 {
			t.Fatalf("%s: version %d", why, v)
		}
	}
	refused("one cannot", RaiseVersion(2))
	refused("with the one that can", PutMember(able("n", 2)), RaiseVersion(2))
	f.do(PutMember(able("n", 2)))
	refused("two at once", RaiseVersion(3))
	refused("not at all", RaiseVersion(1))
	refused("deleted", Delete(KeyVersion))
	refused("in other words", Put(KeyVersion, []byte("02")))
	refused("not alone", RaiseVersion(2), Put("/a", nil))
	if next, ok := f.View().NextVersion(); next != 2 || !ok {
		t.Errorf("next is %d, %v", next, ok)
	}
	f.do(Put("/before", []byte("next")))
	f.do(RaiseVersion(2))
	f.do(Put("/after", []byte("next")))
	before, _ := f.View().Get("/before")
	after, _ := f.View().Get("/after")
	if f.View().Version() != 2 || string(before.Value) != "next" || string(after.Value) != "applied by the next version" {
		t.Errorf("version %d: %q, then %q", f.View().Version(), before.Value, after.Value)
	}
	for why, ops := range map[string][]Op{
		"it fell":                 {RaiseVersion(1)},
		"it is gone":              {Delete(KeyVersion)},
		"a member fell behind":    {PutMember(able("n", 1))},
		"one joined that cannot":  {PutMember(able("o", 1))},
		"one joined that is mute": {PutMember(member("o"))},
	} {
		if r := f.txn(Txn{Then: ops}); r.Err == nil {
			t.Error(why)
		}
	}
	f.do(PutMember(able("o", 2)))
}

// raised is a log whose last but one entry raises the version to 2, and the snapshot after it.
func raised(t *testing.T) (log [][]byte, after []byte) {
	f := newFixture(t)
	f.Store = newer()
	for _, ops := range [][]Op{{PutMember(able("m", 2))}, {Put("/k", []byte("good"))}, {RaiseVersion(2)}, {Put("/k", []byte("next"))}} {
		entry, err := EncodeEntry([]Command{f.command(Txn{Then: ops})})
		if err != nil {
			t.Fatal(err)
		}
		f.index++
		if r, err := f.Apply(f.index, 1, entry); err != nil || r[0].Err != nil {
			t.Fatal(err, r)
		}
		log = append(log, entry)
	}
	return log, snapshot(t, f.Store)
}

func TestAnOlderProgramStopsWhereTheVersionIsRaised(t *testing.T) {
	log, after := raised(t)
	older, later := New(nil), newer()
	for i, entry := range log {
		_, err := older.Apply(uint64(i+1), 1, entry)
		if stops := i == 2; stops != errors.Is(err, ErrNewerVersion) {
			t.Fatalf("entry %d: %v", i+1, err)
		}
		if err != nil {
			break
		}
	}
	if kv, _ := older.View().Get("/k"); string(kv.Value) != "good" || older.View().Index() != 2 || older.View().Version() != 1 {
		t.Errorf("it is at entry %d, version %d, with %q", older.View().Index(), older.View().Version(), kv.Value)
	}
	// The newer program goes on from the very state that the older one kept.
	if err := later.Restore(bytes.NewReader(snapshot(t, older))); err != nil {
		t.Fatal(err)
	}
	for i, entry := range log[2:] {
		if _, err := later.Apply(uint64(i+3), 1, entry); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(snapshot(t, later), after) {
		t.Error("it came to another state")
	}
}

func TestAnOlderProgramRefusesASnapshotOfTheRaisedVersion(t *testing.T) {
	_, after := raised(t)
	s := New(nil)
	if err := s.Restore(bytes.NewReader(after)); !errors.Is(err, ErrNewerVersion) || s.View().Revision() != 0 {
		t.Errorf("at revision %d: %v", s.View().Revision(), err)
	}
	if err := newer().Restore(bytes.NewReader(after)); err != nil {
		t.Error(err)
	}
}

func TestACommandOfAVersionThatTheFleetIsNotAtIsRefused(t *testing.T) {
	f := newFixture(t)
	f.Store = newer()
	c := f.command(Txn{Then: []Op{Put("/a", []byte("1"))}})
	c.Version = 2
	if r := f.apply(c)[0]; r.Err == nil || f.View().Revision() != 0 {
		t.Errorf("revision %d: %v", f.View().Revision(), r.Err)
	}
}
