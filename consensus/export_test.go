package consensus

import (
	"bytes"
	"io"
	"log/slog"
	"net"

	"github.com/hashicorp/raft"

	"github.com/hanse-fleet/hanse/atrest"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// ProposeOver sends one command on a stream of the kind "propose", as it is, and says whether it was refused.
func ProposeOver(c net.Conn, command store.Command) (refused bool, err error) {
	if err := writeFrame(c, proposeRequest{Version: frameVersion, Commands: []store.Command{command}}); err != nil {
		return false, err
	}
	var a proposeAnswer
	err = readFrame(c, &a)
	return a.Code == codeRefused, err
}

// CallOver sends a call to stand on a stream of the kind "stand", and says whether it was heeded.
func CallOver(c net.Conn, term uint64) (stands bool, err error) {
	if err := writeFrame(c, standCall{Version: frameVersion, Term: term}); err != nil {
		return false, err
	}
	var a standAnswer
	err = readFrame(c, &a)
	return a.Stands, err
}

// CheckStores is what Open does with the stores first.
func CheckStores(s Stores) (Stores, error) { return checkStores(s) }

// Encrypted puts a key under stores, as Open does.
func Encrypted(s Stores, key *atrest.Key) Stores { return encrypted(s, key) }

// Amend changes the data of an entry as it lies on the disk, and its checksum.
func Amend(l *raft.Log, change func([]byte) []byte) error {
	if err := unseal(l.Index, l); err != nil {
		return err
	}
	l.Data = change(l.Data)
	*l = *seal(l)
	return nil
}

// OpenContent reads a snapshot's content beside its meta.
func OpenContent(content []byte, meta raft.SnapshotMeta) (*raft.SnapshotMeta, io.Reader, error) {
	c := &checkedContent{id: "s", from: io.NopCloser(bytes.NewReader(content))}
	return &meta, c, c.begin(&meta)
}

// Uncached has a node read every entry from its disk.
func Uncached(c *Config) { c.uncached = true }

// OpenStores opens the files of a directory, unchecked.
func OpenStores(dir string) (Stores, io.Closer, error) {
	return openStores(dir, slog.New(slog.DiscardHandler))
}

// Lacking is what a node sends a follower along with the call to stand in a term.
func Lacking(n *Node, id MemberID, term uint64) error { return n.lacking(id, &standCall{Term: term}) }

// SkipKnown takes out of a request what a node has committed.
func SkipKnown(n *Node, req *raft.AppendEntriesRequest) { n.skipKnown(req) }

// OfferSnapshot hands a snapshot to a node, as the leader would that its header names.
func OfferSnapshot(n *Node, req *raft.InstallSnapshotRequest, content []byte) (*raft.InstallSnapshotResponse, error) {
	answer := make(chan raft.RPCResponse, 1)
	req.Size = int64(len(content))
	n.transport.deliverSnapshot(req, raft.RPC{Command: req, Reader: bytes.NewReader(content), RespChan: answer})
	a := <-answer
	resp, _ := a.Response.(*raft.InstallSnapshotResponse)
	return resp, a.Error
}

// ErrDamagedOffer is what OfferSnapshot gives for a snapshot that is none.
var ErrDamagedOffer = errDamaged

// Forgeries are what a source that is none may send behind a hello, by what is wrong with it.
var Forgeries = map[string]func(h followHello) []followFrame{
	"it goes on behind an entry that nobody named": func(h followHello) []followFrame {
		return []followFrame{{Next: h.Last + 7}}
	},
	"it leaves a gap": func(h followHello) []followFrame {
		return []followFrame{{Next: h.Last}, {Entries: &followEntries{First: h.Last + 2, PrevTerm: h.LastTerm, Entries: []followEntry{{Term: h.LastTerm}}}}}
	},
	"its terms fall": func(h followHello) []followFrame {
		return []followFrame{{Next: h.Last}, {Entries: &followEntries{First: h.Last + 1, PrevTerm: h.LastTerm + 1, Entries: []followEntry{{Term: h.LastTerm}}}}}
	},
	"its entry is none": func(h followHello) []followFrame {
		return []followFrame{{Next: h.Last}, {Entries: &followEntries{First: h.Last + 1, PrevTerm: h.LastTerm, Entries: []followEntry{{Term: h.LastTerm, Type: 77}}}}}
	},
	"its piece is of no snapshot": func(h followHello) []followFrame {
		return []followFrame{{Next: h.Last}, {Piece: []byte("x")}}
	},
	"its snapshot is damaged": func(h followHello) []followFrame {
		head := followSnapshot{ID: "s", Size: 4, Index: h.Last + 100, Term: h.LastTerm, Configuration: raft.EncodeConfiguration(raft.Configuration{}), ConfigurationIndex: 1}
		return []followFrame{{Next: h.Last}, {Snapshot: &head}, {Piece: []byte("none")}}
	},
	"it says that more is committed than it sends": func(h followHello) []followFrame {
		return []followFrame{{Next: h.Last, Commit: h.Last + 1000}, {Commit: h.Last + 1000}}
	},
}

// Forge answers a follower as the source that it takes us for.
func Forge(c net.Conn, self MemberID, frames func(followHello) []followFrame) error {
	defer c.Close()
	return tell(c, self, frames)
}

// Trailing is how many entries stay behind a snapshot.
func Trailing(kept, bytes, entries int64, most uint64) uint64 {
	return trailing(kept, size{bytes, entries}, most)
}
