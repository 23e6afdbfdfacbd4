package consensus

import (
	"maps"
	"net"
	"slices"
	"time"

	"github.com/hashicorp/raft"

	"github.com/hanse-fleet/hanse/consensus/store"
)

// lies are what a source could say that has gone wrong, after a hello: none of it may be taken.
var lies = map[string]func(followHello) []followFrame{
	Plausible: func(h followHello) []followFrame {
		return []followFrame{{Next: h.Last}, forged(h.Last+1, h.LastTerm, h.LastTerm)}
	},
	"entries in place of what is committed": func(h followHello) []followFrame {
		return []followFrame{{Next: h.Last}, forged(h.Last, h.LastTerm, h.LastTerm)}
	},
	"entries behind another entry than ours": func(h followHello) []followFrame {
		return []followFrame{{Next: h.Last}, forged(h.Last+1, h.LastTerm+1, h.LastTerm+1)}
	},
	"entries of a term before ours": func(h followHello) []followFrame {
		return []followFrame{{Next: h.Last}, forged(h.Last+1, 0, h.LastTerm-1)}
	},
	"a snapshot that goes on where none began": func(h followHello) []followFrame {
		return []followFrame{{Next: h.Commit}, {Snapshot: &followSnapshot{
			ID: "s", Size: 10, Index: h.Last + 9, Term: h.LastTerm, Configuration: raft.EncodeConfiguration(raft.Configuration{}), Offset: 5,
		}}}
	},
	"a snapshot whose configuration is none": func(h followHello) []followFrame {
		return []followFrame{{Next: h.Commit}, {Snapshot: &followSnapshot{ID: "s", Size: 1, Index: h.Last + 9, Term: h.LastTerm, Configuration: []byte("garbage")}}}
	},
	"a piece longer than the snapshot": func(h followHello) []followFrame {
		return []followFrame{{Next: h.Commit}, {Snapshot: &followSnapshot{
			ID: "s", Size: 1, Index: h.Last + 9, Term: h.LastTerm, Configuration: raft.EncodeConfiguration(raft.Configuration{}),
		}}, {Piece: []byte("piece")}}
	},
	"a path that comes back": func(h followHello) []followFrame {
		return []followFrame{{Next: h.Last, Path: []MemberID{"m1", "m2", "m3"}}, forged(h.Last+1, h.LastTerm, h.LastTerm)}
	},
}

// forged is a write of /forged that nobody proposed.
func forged(index, prevTerm, term uint64) followFrame {
	txn := store.Txn{Then: []store.Op{store.Put("/forged", []byte("v"))}}
	command := store.Command{Version: 1, ID: store.CommandID{Incarnation: "m1", Seq: 1 << 62}, Proposer: "m1", Txn: &txn}
	data, err := store.EncodeEntry([]store.Command{command})
	if err != nil {
		panic(err)
	}
	return followFrame{Commit: index, Entries: &followEntries{
		First: index, PrevTerm: prevTerm, Entries: []followEntry{{Term: term, Type: uint8(raft.LogCommand), Data: data}},
	}}
}

// Plausible is the lie that a follower cannot tell from the truth: its sources are trusted with the log.
const Plausible = "a committed entry"

// Lies are the names of all others that Lie can say.
func Lies() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(lies)), func(name string) bool { return name == Plausible })
}

// Lie answers a stream of the kind "follow" with one of the lies, and ends it when the follower has, or after a while.
func Lie(c net.Conn, name string) {
	defer c.Close()
	if tell(c, "m1", lies[name]) != nil {
		return
	}
	c.SetReadDeadline(time.Now().Add(time.Second))
	c.Read(make([]byte, 1))
}

// tell hears a follower's hello, and answers with frames in the name of a source that leads, unless they say another way.
func tell(c net.Conn, self MemberID, frames func(followHello) []followFrame) error {
	var hello followHello
	if err := readFrame(c, &hello); err != nil {
		return err
	}
	for _, f := range frames(hello) {
		if f.Leader = self; f.Path == nil {
			f.Path = []MemberID{self}
		}
		if err := writeFrameWithin(c, maxFollowFrame, f); err != nil {
			return err
		}
	}
	return nil
}
