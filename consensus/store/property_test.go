package store

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// logEntry is one entry of a random log.
type logEntry struct {
	term     uint64
	commands []Command
}

// drawLog makes a log that is likely to hit every path: few keys, chunks and members, repeated commands, deletions,
// jumps of time and of sequence numbers.
func drawLog(t *rapid.T) []logEntry {
	var log []logEntry
	var past []Command
	seqs := map[MemberID]uint64{}
	term := uint64(1)
	for range rapid.IntRange(1, 25).Draw(t, "entries") {
		if rapid.IntRange(0, 9).Draw(t, "election") == 0 {
			term++
		}
		e := logEntry{term: term}
		for range rapid.IntRange(1, 6).Draw(t, "commands") {
			var c Command
			if len(past) > 0 && rapid.IntRange(0, 5).Draw(t, "repeat") == 0 {
				c = rapid.SampledFrom(past).Draw(t, "repeated")
			} else {
				c = drawCommand(t, seqs, term)
				past = append(past, c)
			}
			e.commands = append(e.commands, c)
		}
		log = append(log, e)
	}
	return log
}

func drawCommand(t *rapid.T, seqs map[MemberID]uint64, term uint64) Command {
	id := rapid.SampledFrom([]MemberID{"m", "m", "n", "o"}).Draw(t, "proposer")
	c := Command{Proposer: id, Time: rapid.Int64Range(0, 3*int64(LooseTime)).Draw(t, "time")}
	if rapid.IntRange(0, 3).Draw(t, "kind") == 0 {
		c.Chunk = []byte(drawChunk(t))
		return c
	}
	seqs[id] += rapid.SampledFrom([]uint64{1, 1, 1, 1, 2, Window}).Draw(t, "step")
	c.ID = CommandID{id, seqs[id]}
	if rapid.IntRange(0, 7).Draw(t, "leading") == 0 {
		c.Term = rapid.Uint64Range(1, term).Draw(t, "term")
		c.Epoch = rapid.SampledFrom([]string{"", "m", "n"}).Draw(t, "epoch")
	}
	c.Txn = &Txn{If: drawConditions(t), Then: drawOps(t)}
	return c
}

func drawChunk(t *rapid.T) string {
	return rapid.SampledFrom([]string{"red", "green", "blue"}).Draw(t, "chunk")
}

func drawKey(t *rapid.T) string {
	return rapid.SampledFrom([]string{"/a", "/a/1", "/a/2", "/a/21", "/b/1", "/b/2"}).Draw(t, "key")
}

func drawConditions(t *rapid.T) (all []Condition) {
	for range rapid.SampledFrom([]int{0, 0, 0, 1, 1, 2}).Draw(t, "conditions") {
		rev := Revision(rapid.IntRange(0, 30).Draw(t, "revision"))
		switch rapid.IntRange(0, 2).Draw(t, "condition") {
		case 0:
			all = append(all, KeyAt(drawKey(t), rev))
		case 1:
			all = append(all, KeyAbsent(drawKey(t)))
		case 2:
			prefix := rapid.SampledFrom([]string{"", "/a", "/a/", "/a/2", "/c"}).Draw(t, "prefix")
			all = append(all, PrefixUnchanged(prefix, rev))
		}
	}
	return all
}

func drawOps(t *rapid.T) (ops []Op) {
	for range rapid.IntRange(0, 4).Draw(t, "ops") {
		switch rapid.IntRange(0, 6).Draw(t, "op") {
		case 0, 1:
			ops = append(ops, Delete(drawKey(t)))
		case 2, 3:
			op := Op{Key: drawKey(t)}
			for range rapid.IntRange(1, 3).Draw(t, "parts") {
				op.Chunks = append(op.Chunks, hashOf(drawChunk(t)))
			}
			ops = append(ops, op)
		case 4:
			ops = append(ops, drawMembership(t)...)
		default:
			ops = append(ops, Put(drawKey(t), []byte(rapid.SampledFrom([]string{"x", "y", "zz"}).Draw(t, "value"))))
		}
	}
	var once []Op
	for _, op := range ops {
		if !slices.ContainsFunc(once, func(o Op) bool { return o.Key == op.Key }) {
			once = append(once, op)
		}
	}
	return once
}

func drawMembership(t *rapid.T) []Op {
	m := member(rapid.SampledFrom([]string{"m", "m", "n", "o", "p"}).Draw(t, "member"))
	if rapid.IntRange(0, 5).Draw(t, "theft") == 0 {
		m.Pin = member("n").Pin
	}
	switch rapid.IntRange(0, 5).Draw(t, "membership") {
	case 0:
		return RemoveMember(m, day)
	case 1:
		return RemoveMember(m, day)[1:]
	case 2:
		return RemoveMember(m, day)[:1]
	}
	return []Op{PutMember(m)}
}

func applyEntry(t *rapid.T, s *Store, index int, e logEntry) []Result {
	data, err := EncodeEntry(e.commands)
	if err != nil {
		t.Fatal(err)
	}
	results, err := s.Apply(uint64(index), e.term, data)
	if err != nil {
		t.Fatal(err)
	}
	return results
}

func bytesOf(t *rapid.T, s *Store) []byte {
	var b bytes.Buffer
	if _, err := s.Snapshot().WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

var shallow = cmp.Options{cmpopts.EquateEmpty()}

func TestSameLogSameBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		auth := authorizer(func(v *View, who Asker, txn Txn) error {
			if len(txn.Then) > 0 && txn.Then[0].Key == "/b/1" && v.Revision()%3 == 1 {
				return fmt.Errorf("not for %s at %d", who.Member, v.Revision())
			}
			return nil
		})
		log := drawLog(t)
		one, two := New(auth), New(auth)
		restart := rapid.IntRange(0, len(log)-1).Draw(t, "restart")
		for i, e := range log {
			if i == restart {
				data := bytesOf(t, two)
				two = New(auth)
				if err := two.Restore(bytes.NewReader(data)); err != nil {
					t.Fatal(err)
				}
			}
			a, b := applyEntry(t, one, i, e), applyEntry(t, two, i, e)
			if fmt.Sprint(flat(t, a)) != fmt.Sprint(flat(t, b)) {
				t.Fatalf("entry %d: %v and %v", i, a, b)
			}
			if !bytes.Equal(bytesOf(t, one), bytesOf(t, two)) {
				t.Fatalf("the stores differ after entry %d", i)
			}
		}
	})
}

// flat makes results comparable, errors by content.
func flat(t *rapid.T, results []Result) (all [][]byte) {
	for _, r := range results {
		b, err := EncodeResult(r)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b)
	}
	return all
}

func TestBatchingChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		one, two := New(nil), New(nil)
		for i, e := range drawLog(t) {
			applyEntry(t, one, i, e)
			for _, c := range e.commands {
				applyEntry(t, two, i, logEntry{e.term, []Command{c}})
			}
		}
		if !bytes.Equal(bytesOf(t, one), bytesOf(t, two)) {
			t.Fatal("commands mean something else in a batch")
		}
	})
}

func TestModel(t *testing.T) {
	seen := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		m, s := newModel(), New(nil)
		w, err := s.Watch("", 0)
		if err != nil {
			t.Fatal(err)
		}
		for i, e := range drawLog(t) {
			m.term = e.term
			for j, r := range applyEntry(t, s, i, e) {
				rev, want := m.apply(e.commands[j])
				if got := modelOutcome(r.Err); got != want || r.Revision != rev {
					t.Fatalf("command %d of entry %d: %+v at %d, want %s at %d", j, i, r.Err, r.Revision, want, rev)
				}
				seen[want]++
			}
			sameState(t, s.View(), m)
		}
		sameHistory(t, w, m)
	})
	for _, outcome := range []string{modelDone, modelRefused, modelFailed, modelMissing, modelTooOld} {
		if seen[outcome] == 0 {
			t.Errorf("no command was ever %s: the logs are too tame", outcome)
		}
	}
}

func sameState(t *rapid.T, v *View, m *model) {
	if v.Revision() != m.rev || v.time != m.now {
		t.Fatalf("at revision %d, time %d; want %d, %d", v.Revision(), v.time, m.rev, m.now)
	}
	prefix := rapid.SampledFrom([]string{"", "/a", "/a/", "/b/", "/c"}).Draw(t, "list")
	from := rapid.SampledFrom([]string{"", "/a/2", "/a/20", "/b", "/z"}).Draw(t, "from")
	got := slices.Collect(v.Iterate(prefix, from))
	if diff := cmp.Diff(m.list(prefix, from), got, shallow); diff != "" {
		t.Fatalf("%q from %q: %s", prefix, from, diff)
	}
	if n := len(m.list(prefix, "")); v.Count(prefix) != n || len(v.List(prefix)) != n {
		t.Fatalf("%q has %d keys, want %d", prefix, v.Count(prefix), n)
	}
	var hashes []Hash
	for h := range all(v.chunks.byHash) {
		hashes = append(hashes, Hash(h))
	}
	if diff := cmp.Diff(m.hashes(), hashes, shallow); diff != "" {
		t.Fatal(diff)
	}
	if len(v.Members()) != len(m.members(m.keys)) {
		t.Fatalf("members %v, want %v", v.Members(), m.members(m.keys))
	}
}

func sameHistory(t *rapid.T, w *Watcher, m *model) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var got []Batch
	for {
		b, err := w.Next(ctx)
		if err != nil {
			break
		}
		got = append(got, b)
	}
	if diff := cmp.Diff(m.batches, got, shallow); diff != "" {
		t.Fatal(diff)
	}
}
