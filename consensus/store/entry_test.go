package store

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/google/go-cmp/cmp"
)

// everyCommand uses every field of the format once.
func everyCommand() []Command {
	return []Command{
		{
			Version: 1, ID: CommandID{"11111111-1111-4111-8111-111111111111", 7},
			Proposer: "11111111-1111-4111-8111-111111111111", Person: "ada", Term: 3, Time: 1767323045000000000,
			Txn: &Txn{
				If: []Condition{KeyAt("/a", 5), KeyAbsent("/b"), PrefixUnchanged("/c/", 6)},
				Then: []Op{
					Put("/a", []byte("value")), Delete("/d"), Put("/empty", nil),
					{Key: "/e", Chunks: []Hash{hashOf("one"), hashOf("two")}},
				},
			},
		},
		{Version: 1, Proposer: "m", Chunk: []byte("one")},
		{Version: 1, ID: CommandID{"m", 1}, Proposer: "m", Txn: &Txn{}},
	}
}

func TestEntry(t *testing.T) {
	data, err := EncodeEntry(everyCommand())
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "entry.bin", data)
	got, err := DecodeEntry(data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(everyCommand(), got); diff != "" {
		t.Error(diff)
	}
	clear(data)
	if diff := cmp.Diff(everyCommand(), got); diff != "" {
		t.Errorf("the commands share memory with the entry: %s", diff)
	}
}

func TestCommandSize(t *testing.T) {
	sum := 0
	for _, c := range everyCommand() {
		n, err := c.Size()
		if err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	data, _ := EncodeEntry(everyCommand())
	if len(data) < sum || len(data) > sum+EntryOverhead {
		t.Errorf("commands of %d bytes make an entry of %d", sum, len(data))
	}
}

// entryOf encodes anything as if it were commands.
func entryOf(t testing.TB, v any) []byte {
	t.Helper()
	body, err := cbor.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return append([]byte{entryMagic, entryFormat}, body...)
}

func TestEntriesThatAreRefused(t *testing.T) {
	valid, _ := EncodeEntry(everyCommand())
	type m = map[int]any
	for _, tt := range []struct {
		name string
		data []byte
		want error
	}{
		{"nothing", nil, ErrMalformed},
		{"a head alone", valid[:2], ErrMalformed},
		{"another magic", append([]byte{'X'}, valid[1:]...), ErrMalformed},
		{"format 0", append([]byte{'H', 0}, valid[2:]...), ErrMalformed},
		{"a newer format", append([]byte{'H', 3}, "anything"...), ErrNewerVersion},
		{"half an entry", valid[:len(valid)/2], ErrMalformed},
		{"something behind the entry", append(slices.Clone(valid), 0), ErrMalformed},
		{"an entry that is too large", make([]byte, MaxEntry+1), ErrMalformed},
		{"no commands", entryOf(t, []m{}), ErrMalformed},
		{"no array", entryOf(t, m{1: 1}), ErrMalformed},
		{"a command without a version", entryOf(t, []m{{8: []byte("c")}}), ErrMalformed},
		{"an unknown field", entryOf(t, []m{{1: 1, 99: 1}}), ErrMalformed},
		{"a newer command, unknown field and all", entryOf(t, []m{{1: 1}, {1: 2, 99: "new"}}), ErrNewerVersion},
		{"a short hash", entryOf(t, []m{{1: 1, 7: m{2: []m{{1: "/a", 4: [][]byte{{1}}}}}}}), ErrMalformed},
		{"a long hash", entryOf(t, []m{{1: 1, 7: m{2: []m{{1: "/a", 4: [][]byte{make([]byte, 33)}}}}}}), ErrMalformed},
		{"a negative sequence", entryOf(t, []m{{1: 1, 2: m{2: -1}}}), ErrMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			f.do(Put("/a", nil))
			before := snapshot(t, f.Store)
			results, err := f.Apply(2, 1, tt.data)
			if !errors.Is(err, tt.want) || results != nil {
				t.Errorf("got %v, %v", results, err)
			}
			if !bytes.Equal(before, snapshot(t, f.Store)) {
				t.Error("something was applied")
			}
		})
	}
}

func FuzzEntry(f *testing.F) {
	valid, _ := EncodeEntry(everyCommand())
	f.Add(valid)
	f.Add([]byte{entryMagic, entryFormat, 0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, data []byte) {
		s := New(nil)
		results, err := s.Apply(1, 1, data)
		if err != nil {
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrNewerVersion) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		commands, _ := DecodeEntry(data)
		if len(results) != len(commands) {
			t.Fatalf("%d results of %d commands", len(results), len(commands))
		}
		again := snapshot(t, s)
		if !bytes.Equal(again, snapshot(t, restored(t, nil, again))) {
			t.Fatal("the snapshot of its snapshot is another")
		}
		if data, err = EncodeEntry(commands); err != nil {
			return // no store applies them
		}
		if back, err := DecodeEntry(data); err != nil || !cmp.Equal(len(commands), len(back)) {
			t.Fatalf("what was encoded cannot be decoded: %v", err)
		}
	})
}

func TestResults(t *testing.T) {
	for _, r := range []Result{
		{Revision: 7},
		{Revision: 7, Err: &Conflict{Index: 2, Condition: KeyAt("/a", 1), Current: &KV{Key: "/a", Created: 1, Modified: 2}}},
		{Err: &Conflict{Condition: KeyAbsent("/a")}},
		{Err: &Forbidden{Reason: "no"}},
		{Err: &Invalid{Reason: "no"}},
		{Err: &MissingChunks{Hashes: []Hash{hashOf("a")}}},
		{Err: ErrStaleTerm},
		{Err: ErrTooOld},
	} {
		data, err := EncodeResult(r)
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeResult(data)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(r, got) {
			t.Errorf("%+v became %+v", r, got)
		}
	}
	if _, err := EncodeResult(Result{Err: errors.New("other")}); err == nil {
		t.Error("an unknown error has a code")
	}
}

func FuzzResult(f *testing.F) {
	data, _ := EncodeResult(Result{Err: &Conflict{Condition: KeyAbsent("/a"), Current: &KV{}}})
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		if r, err := DecodeResult(data); err == nil {
			if _, err := EncodeResult(r); err != nil {
				t.Fatal(err)
			}
		}
	})
}
