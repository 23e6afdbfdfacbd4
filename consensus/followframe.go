package consensus

import (
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/hashicorp/raft"
)

// A member that is not in raft follows the log on a stream of the kind "follow". It opens the stream and says where it
// stands; from then on only the source speaks, until either side closes.
//
//	frame    = length body, as in frame.go; at most maxFollowFrame
//
//	hello    {1: version, 2: last index, 3: last term, 4: committed index, 5: its term,
//	          6: id of a snapshot of which a part is here, 7: its length, 8: true from one that votes as far as it knows}
//	frame    {1: commit, 2: leader, 3: path, 4: next, 5: entries, 6: snapshot, 7: piece, 8: refusal, 9: configuration}
//
//	entries  {1: first index, 2: term of the entry before it, 3: [entry, ...]}    contiguous, all committed
//	entry    [term, type, data, extensions, appended at, in Unix nanoseconds]
//	snapshot {1: id, 2: size, 3: index, 4: term, 5: configuration, 6: its index, 7: offset of the first piece}
//	configuration {1: index, 2: true when the follower votes in it}               only to one that said it votes
//
// Every frame has commit, leader and path as they are at the source. The first frame has next: the index behind which
// the source goes on, which is either of the two that hello named. Then come entries, or a snapshot and its pieces and
// then entries, as there are; a frame without any of them is a sign of life.
//
// History: version 1, the first.
const (
	followVersion = 1
	// followBatch is about how many bytes of entries one frame has, followPiece how many of a snapshot.
	followBatch = 256 << 10
	followPiece = 64 << 10
	// maxFollowFrame fits a batch that the largest entry made full.
	maxFollowFrame = followBatch + maxFrame
	// maxFollowEntries bounds the entries of one frame.
	maxFollowEntries = 4096
	// maxPath: a server, and a relay. A path that is longer, or that comes back, is none.
	maxPath = 2
)

// position is a place in the log. A term of 0 is not known.
type position struct{ index, term uint64 }

type followHello struct {
	Version    uint   `cbor:"1,keyasint"`
	Last       uint64 `cbor:"2,keyasint,omitempty"`
	LastTerm   uint64 `cbor:"3,keyasint,omitempty"`
	Commit     uint64 `cbor:"4,keyasint,omitempty"`
	CommitTerm uint64 `cbor:"5,keyasint,omitempty"`
	Snapshot   string `cbor:"6,keyasint,omitempty"`
	Offset     int64  `cbor:"7,keyasint,omitempty"`
	Votes      bool   `cbor:"8,keyasint,omitempty"`
}

type followFrame struct {
	Commit        uint64               `cbor:"1,keyasint,omitempty"`
	Leader        MemberID             `cbor:"2,keyasint,omitempty"`
	Path          []MemberID           `cbor:"3,keyasint,omitempty"`
	Next          uint64               `cbor:"4,keyasint,omitempty"`
	Entries       *followEntries       `cbor:"5,keyasint,omitempty"`
	Snapshot      *followSnapshot      `cbor:"6,keyasint,omitempty"`
	Piece         []byte               `cbor:"7,keyasint,omitempty"`
	Refusal       refusal              `cbor:"8,keyasint,omitempty"`
	Configuration *followConfiguration `cbor:"9,keyasint,omitempty"`
}

type followEntries struct {
	First    uint64        `cbor:"1,keyasint"`
	PrevTerm uint64        `cbor:"2,keyasint,omitempty"`
	Entries  []followEntry `cbor:"3,keyasint"`
}

type followEntry struct {
	_          struct{} `cbor:",toarray"`
	Term       uint64
	Type       uint8
	Data       []byte
	Extensions []byte
	AppendedAt int64
}

type followSnapshot struct {
	ID                 string `cbor:"1,keyasint"`
	Size               int64  `cbor:"2,keyasint"`
	Index              uint64 `cbor:"3,keyasint"`
	Term               uint64 `cbor:"4,keyasint"`
	Configuration      []byte `cbor:"5,keyasint"`
	ConfigurationIndex uint64 `cbor:"6,keyasint"`
	Offset             int64  `cbor:"7,keyasint,omitempty"`
}

type followConfiguration struct {
	Index uint64 `cbor:"1,keyasint"`
	Votes bool   `cbor:"2,keyasint,omitempty"`
}

// refusal is why a source does not serve, or no longer.
type refusal uint8

const (
	// refusedFull: as many follow as may.
	refusedFull refusal = 1
	// refusedRole: the member may not be a source, or the one who asks is no member.
	refusedRole refusal = 2
	// refusedDiverged: what the follower holds to be committed is something else here. One of the two is corrupt.
	refusedDiverged refusal = 3
	// refusedRequest: the hello is not one that this member understands.
	refusedRequest refusal = 4
)

var (
	errFull     = errors.New("the source has as many followers as it may")
	errSlow     = errors.New("the follower takes a snapshot too slowly")
	errRole     = errors.New("the source does not serve us")
	errDiverged = errors.New("the source has other entries where ours are committed; one of the two logs is corrupt")
)

func (r refusal) err() error {
	switch r {
	case 0:
		return nil
	case refusedFull:
		return errFull
	case refusedRole:
		return errRole
	case refusedDiverged:
		return errDiverged
	}
	return fmt.Errorf("the source refused with code %d", r)
}

func toFollowEntry(l *raft.Log) followEntry {
	e := followEntry{Term: l.Term, Type: uint8(l.Type), Data: l.Data, Extensions: l.Extensions}
	if !l.AppendedAt.IsZero() {
		e.AppendedAt = l.AppendedAt.UnixNano()
	}
	return e
}

// logs are the entries as raft has them, or an error when they are not such as could follow prev.
func (f *followEntries) logs(prev position) ([]*raft.Log, error) {
	if f.First != prev.index+1 || len(f.Entries) == 0 || len(f.Entries) > maxFollowEntries {
		return nil, fmt.Errorf("%w: %d entries from %d on, after %d", errMalformed, len(f.Entries), f.First, prev.index)
	}
	if f.PrevTerm != 0 && prev.term != 0 && f.PrevTerm != prev.term {
		return nil, fmt.Errorf("%w: entry %d is of term %d there and %d here", errDiverged, prev.index, f.PrevTerm, prev.term)
	}
	term := max(f.PrevTerm, prev.term)
	out := make([]*raft.Log, len(f.Entries))
	for i, e := range f.Entries {
		l := &raft.Log{Index: f.First + uint64(i), Term: e.Term, Type: raft.LogType(e.Type), Data: e.Data, Extensions: e.Extensions}
		if e.AppendedAt != 0 {
			l.AppendedAt = time.Unix(0, e.AppendedAt)
		}
		if l.Term == 0 || l.Term < term || wellFormedEntry(l) != nil {
			return nil, fmt.Errorf("%w: entry %d", errMalformed, l.Index)
		}
		term, out[i] = l.Term, l
	}
	return out, nil
}

func (s *followSnapshot) check() error {
	if s.Size <= 0 || s.Size > maxSnapshot || s.Offset < 0 || s.Offset > s.Size || s.Index == 0 || s.Term == 0 || len(s.ID) > 256 {
		return fmt.Errorf("%w: snapshot %.64q of %d bytes from %d on", errMalformed, s.ID, s.Size, s.Offset)
	}
	return decodable(s.Configuration)
}

// patient is a connection on which each piece of a frame, and not the whole, must move within a time: a thin line is
// slow but not silent.
type patient struct {
	net.Conn
	within time.Duration
}

func (p patient) Read(b []byte) (int, error) {
	if err := p.SetReadDeadline(time.Now().Add(p.within)); err != nil {
		return 0, err
	}
	return p.Conn.Read(b[:min(len(b), 32<<10)])
}

func (p patient) Write(b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var m int
		if err = p.SetWriteDeadline(time.Now().Add(p.within)); err == nil {
			m, err = p.Conn.Write(b[n:min(len(b), n+32<<10)])
		}
		n += m
	}
	return n, err
}

var _ io.ReadWriter = patient{}
