package consensus

import (
	"bytes"
	"encoding/hex"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/raft"
)

// goldenFollow is one frame of each sort, as version 1 writes it.
var goldenFollow = []struct {
	frame followFrame
	bytes string
}{
	{followFrame{Commit: 7, Leader: "a", Path: []MemberID{"a", "b"}}, "0000000ca3010702616103826161" + "6162"},
	{followFrame{Refusal: refusedFull}, "00000003a10801"},
	{followFrame{Piece: []byte("xy")}, "00000005a107427879"},
	{followFrame{Commit: 9, Next: 4, Configuration: &followConfiguration{Index: 3, Votes: true}}, "0000000ba30109040409a2010302f5"},
	{followFrame{Entries: &followEntries{First: 5, PrevTerm: 2, Entries: []followEntry{{Term: 2, Data: []byte("d"), Extensions: []byte("x"), AppendedAt: 1}}}}, "00000011a105a30105020203818502004164417801"},
	{followFrame{Snapshot: &followSnapshot{ID: "s", Size: 4, Index: 3, Term: 2, Configuration: []byte("c"), ConfigurationIndex: 1, Offset: 2}}, "00000013a106a701617302040303040205416306010702"},
}

func TestFollowFrame(t *testing.T) {
	t.Run("the bytes of version 1 stay as they are", func(t *testing.T) {
		for _, g := range goldenFollow {
			var b bytes.Buffer
			if err := writeFrameWithin(&b, maxFollowFrame, g.frame); err != nil || hex.EncodeToString(b.Bytes()) != g.bytes {
				t.Errorf("%+v: %x, %v", g.frame, b.Bytes(), err)
			}
			var got followFrame
			if err := readFrameWithin(&b, maxFollowFrame, &got); err != nil || !cmp.Equal(got, g.frame) {
				t.Errorf("got %+v, %v", got, err)
			}
		}
	})
	t.Run("and those of the hello", func(t *testing.T) {
		hello := followHello{Version: followVersion, Last: 9, LastTerm: 2, Commit: 8, CommitTerm: 1, Snapshot: "s", Offset: 7, Votes: true}
		var b bytes.Buffer
		if err := writeFrame(&b, hello); err != nil || hex.EncodeToString(b.Bytes()) != "00000012a801010209030204080501066173070708f5" {
			t.Errorf("%x, %v", b.Bytes(), err)
		}
	})
	t.Run("entries come as they were", func(t *testing.T) {
		l := &raft.Log{Index: 5, Term: 2, Data: []byte("d"), Extensions: []byte("x"), AppendedAt: time.Unix(3, 4)}
		f := followEntries{First: 5, PrevTerm: 2, Entries: []followEntry{toFollowEntry(l)}}
		got, err := f.logs(position{4, 2})
		if diff := cmp.Diff([]*raft.Log{l}, got); err != nil || diff != "" {
			t.Error(err, diff)
		}
	})
	t.Run("entries that could not follow are refused", func(t *testing.T) {
		entry := followEntry{Term: 2}
		for name, f := range map[string]followEntries{
			"a gap":               {First: 6, Entries: []followEntry{entry}},
			"nothing":             {First: 5},
			"a term that falls":   {First: 5, PrevTerm: 2, Entries: []followEntry{{Term: 3}, entry}},
			"another term before": {First: 5, PrevTerm: 1, Entries: []followEntry{entry}},
			"a term before ours":  {First: 5, Entries: []followEntry{{Term: 1}}},
			"no term":             {First: 5, Entries: []followEntry{{}}},
			"an unknown kind":     {First: 5, Entries: []followEntry{{Term: 2, Type: 77}}},
			"no configuration":    {First: 5, Entries: []followEntry{{Term: 2, Type: uint8(raft.LogConfiguration), Data: []byte("garbage")}}},
			"more than there may": {First: 5, Entries: make([]followEntry, maxFollowEntries+1)},
		} {
			if _, err := f.logs(position{4, 2}); err == nil {
				t.Errorf("%s was taken", name)
			}
		}
	})
}

func FuzzFollowFrame(f *testing.F) {
	for _, g := range goldenFollow {
		b, _ := hex.DecodeString(g.bytes)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var frame followFrame
		if readFrameWithin(bytes.NewReader(data), maxFollowFrame, &frame) != nil {
			return
		}
		if frame.Entries != nil {
			frame.Entries.logs(position{index: frame.Entries.First - 1})
		}
		if frame.Snapshot != nil {
			frame.Snapshot.check()
		}
		readFrame(bytes.NewReader(data), &followHello{})
	})
}
