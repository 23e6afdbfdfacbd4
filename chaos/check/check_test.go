package check_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hanse-fleet/hanse/chaos/check"
)

func put(client int, key, value string, call, end int64) check.Op {
	return check.Op{Client: client, Kind: check.Put, Object: "o", Key: key, Value: value, Call: call, Return: end}
}

func get(client int, key, seen string, call, end int64) check.Op {
	return check.Op{Client: client, Kind: check.Get, Object: "o", Key: key, Seen: seen, Call: call, Return: end}
}

func swap(client int, key, old, value string, call, end int64, outcome check.Outcome) check.Op {
	return check.Op{Client: client, Kind: check.Swap, Object: "o", Key: key, Old: old, Value: value, Call: call, Return: end, Outcome: outcome}
}

func list(client int, listed map[string]string, call, end int64) check.Op {
	return check.Op{Client: client, Kind: check.List, Object: "o", Listed: listed, Call: call, Return: end}
}

func TestHistories(t *testing.T) {
	unknown := put(1, "a", "1", 1, 2)
	unknown.Outcome = check.Unknown
	for name, c := range map[string]struct {
		history []check.Op
		good    bool
	}{
		"a read of what was written":                   {[]check.Op{put(1, "a", "1", 1, 2), get(2, "a", "1", 3, 4)}, true},
		"a read of what is being written":              {[]check.Op{put(1, "a", "1", 1, 9), get(2, "a", "1", 2, 3), get(2, "a", "1", 4, 5)}, true},
		"a stale read":                                 {[]check.Op{put(1, "a", "1", 1, 2), get(2, "a", "", 3, 4)}, false},
		"reads that go back":                           {[]check.Op{put(1, "a", "1", 1, 9), get(2, "a", "1", 2, 3), get(2, "a", "", 4, 5)}, false},
		"a read of what nobody wrote":                  {[]check.Op{get(2, "a", "1", 2, 3)}, false},
		"a write without answer that happened late":    {[]check.Op{unknown, get(2, "a", "", 3, 4), get(2, "a", "1", 5, 6)}, true},
		"a write without answer that was undone":       {[]check.Op{unknown, get(2, "a", "1", 3, 4), get(2, "a", "", 5, 6)}, false},
		"a swap of what is there":                      {[]check.Op{put(1, "a", "1", 1, 2), swap(2, "a", "1", "2", 3, 4, check.Done), get(1, "a", "2", 5, 6)}, true},
		"a swap of what is not there":                  {[]check.Op{put(1, "a", "1", 1, 2), swap(2, "a", "", "2", 3, 4, check.Done)}, false},
		"two swaps of the same":                        {[]check.Op{swap(1, "a", "", "1", 1, 4, check.Done), swap(2, "a", "", "2", 2, 3, check.Done)}, false},
		"a swap that is refused without a reason":      {[]check.Op{put(1, "a", "1", 1, 2), swap(2, "a", "1", "2", 3, 4, check.Refused)}, false},
		"a list of all":                                {[]check.Op{put(1, "a", "1", 1, 2), put(1, "b", "2", 3, 4), list(2, map[string]string{"a": "1", "b": "2"}, 5, 6)}, true},
		"a list that lacks the first of two writes":    {[]check.Op{put(1, "a", "1", 1, 2), put(1, "b", "2", 3, 4), list(2, map[string]string{"b": "2"}, 5, 6)}, false},
		"a list of two states that were never at once": {[]check.Op{put(1, "a", "1", 1, 2), put(1, "b", "1", 3, 4), put(1, "a", "2", 5, 6), put(1, "b", "2", 7, 8), list(2, map[string]string{"a": "1", "b": "2"}, 1, 9)}, false},
	} {
		t.Run(name, func(t *testing.T) {
			wrong, undecided := check.Linearizable(c.history, time.Minute)
			if undecided || (wrong == "") != c.good {
				t.Errorf("judged: %q", wrong)
			}
		})
	}
}

func batch(revision uint64, key, value string) check.Batch {
	return check.Batch{Revision: revision, Changes: map[string]string{key: value}, Values: []string{value}}
}

func TestWatchers(t *testing.T) {
	for name, c := range map[string]struct {
		see  func(a, b *check.Watcher)
		want string // "" for nothing wrong
	}{
		"all see all": {func(a, b *check.Watcher) {
			a.Saw(batch(1, "k", "1"))
			a.Saw(batch(2, "k", "2"))
			b.Saw(batch(1, "k", "1"))
		}, ""},
		"one that relists goes on there": {func(a, b *check.Watcher) { a.Saw(batch(1, "k", "1")); a.Relisted(4); a.Saw(batch(5, "k", "5")) }, ""},
		"a gap":                          {func(a, b *check.Watcher) { a.Saw(batch(1, "k", "1")); a.Saw(batch(3, "k", "3")) }, "right after 1"},
		"a repetition":                   {func(a, b *check.Watcher) { a.Saw(batch(1, "k", "1")); a.Saw(batch(1, "k", "1")) }, "again after 1"},
		"a way back":                     {func(a, b *check.Watcher) { a.Saw(batch(1, "k", "1")); a.Relisted(0) }, "shown the state of 0"},
		"two truths":                     {func(a, b *check.Watcher) { a.Saw(batch(1, "k", "1")); b.Saw(batch(1, "k", "x")) }, "not the same for all"},
		"a value that comes twice":       {func(a, b *check.Watcher) { a.Saw(batch(1, "k", "1")); a.Saw(batch(2, "k", "1")) }, "and again at 2"},
	} {
		t.Run(name, func(t *testing.T) {
			log := check.NewLog()
			c.see(log.Watcher("a", 0), log.Watcher("b", 0))
			if got := strings.Join(log.Wrong(), "\n"); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
				t.Errorf("judged: %q", got)
			}
		})
	}
}

func TestWhatTheLogSettles(t *testing.T) {
	log := check.NewLog()
	w := log.Watcher("a", 0)
	w.Saw(batch(1, "k", "1"))
	w.Saw(batch(2, "k", "2"))
	done := func(value string, revision uint64) check.Op {
		op := put(1, "k", value, 1, 2)
		op.Revision = revision
		return op
	}
	unknown := func(value string) check.Op {
		op := put(1, "k", value, 1, 2)
		op.Outcome = check.Unknown
		return op
	}
	settled, lost := log.Settle([]check.Op{done("1", 1), unknown("2"), unknown("3"), get(1, "k", "1", 1, 2)})
	if len(lost) > 0 || len(settled) != 3 {
		t.Errorf("settled %v, lost %v", settled, lost)
	}
	for name, op := range map[string]check.Op{"is lost": done("4", 3), "lies at 2": done("2", 1)} {
		if _, lost := log.Settle([]check.Op{op}); len(lost) != 1 || !strings.Contains(lost[0], name) {
			t.Errorf("%s: lost %v", name, lost)
		}
	}
	if !log.Whole() {
		t.Error("the log is not whole")
	}
	w.Saw(batch(4, "k", "4"))
	if log.Whole() {
		t.Error("the log is whole without revision 3")
	}
}

func TestAnEpochThatHasEnded(t *testing.T) {
	log := check.NewLog()
	a := log.Watcher("a", 0)
	for i, v := range []string{"1", "2", "3"} {
		a.Saw(batch(uint64(i+1), "k", v))
	}
	if lacks := log.Lacks(0, 3, map[string]string{"k": "3"}); len(lacks) > 0 {
		t.Errorf("lacks %v of what it has", lacks)
	}
	if lacks := log.Lacks(0, 3, map[string]string{"k": "never seen"}); len(lacks) > 0 {
		t.Errorf("lacks %v, though it is newer", lacks)
	}
	for _, older := range []string{"", "1", "2"} {
		if lacks := log.Lacks(0, 3, map[string]string{"k": older}); len(lacks) != 1 {
			t.Errorf("%q is not missed to be newer", older)
		}
	}
	log.Begins(100)
	a.Relisted(100)
	a.Saw(batch(101, "k", "4"))
	if wrong := log.Wrong(); len(wrong) > 0 || !log.Whole() || log.Epoch() != 1 {
		t.Errorf("epoch %d, whole %v: %v", log.Epoch(), log.Whole(), wrong)
	}
	unseen := put(1, "k", "x", 1, 2)
	unseen.Revision = 4
	doubtful := put(1, "k", "y", 1, 2)
	doubtful.Outcome = check.Unknown
	if settled, lost := log.Settle([]check.Op{unseen, doubtful}); len(settled) != 2 || len(lost) > 0 {
		t.Errorf("beyond what was seen of an epoch that has ended: settled %v, lost %v", settled, lost)
	}
	unseen.Revision = 3
	if _, lost := log.Settle([]check.Op{unseen}); len(lost) != 1 {
		t.Error("a write is not where it was said to be, and nobody misses it")
	}
	log.Begins(50)
	if len(log.Wrong()) == 0 {
		t.Error("an epoch begins with a revision that was used before, and nobody minds")
	}
}

func TestTermsAndStates(t *testing.T) {
	var terms check.Terms
	got := []bool{terms.Leads(1, "a") == "", terms.Leads(2, "b") == "", terms.Leads(1, "a") == "", terms.Leads(2, "a") == ""}
	if diff := cmp.Diff([]bool{true, true, true, false}, got); diff != "" {
		t.Error(diff)
	}
	if wrong := check.Same(map[string]string{"a": "x", "b": "x"}); wrong != "" {
		t.Error(wrong)
	}
	if check.Same(map[string]string{"a": "x", "b": "y"}) == "" {
		t.Error("two states count as one")
	}
}
