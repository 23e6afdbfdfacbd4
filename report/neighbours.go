package report

import (
	"cmp"
	"slices"
	"time"

	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/internal/draw"
)

// spareAfter is how long a follower waits for a word of its source before it turns to a voter besides: sooner than the
// others would take it for gone.
const spareAfter = 2 * Heartbeat

// neighbours chooses whom a member opens a stream to. A server of raft speaks to all others. A follower has its news from
// where it has the log, and while it hears nothing from there also from a voter, one after the other.
type neighbours struct {
	self          store.MemberID
	source, spare store.MemberID
	since, spared time.Time // when they were chosen
}

// choose says whom to speak to now, and as what.
func (n *neighbours) choose(p Position, heard func(store.MemberID) time.Time, now time.Time) map[store.MemberID]role {
	wanted := map[store.MemberID]role{}
	server := p.isServer(n.self)
	if server {
		for _, id := range slices.Concat(p.Voters, p.Nonvoters) {
			if id != n.self {
				wanted[id] = beside
			}
		}
	}
	switch {
	case p.Source != "" && p.Source != n.source:
		n.source, n.since = p.Source, now
	case p.Source == "" && server:
		n.source = "" // it is of raft again
	}
	if n.source != "" {
		wanted[n.source] = above
	}
	silent := func(id store.MemberID, since time.Time) bool {
		return id == "" || now.Sub(later(heard(id), since)) > spareAfter
	}
	switch {
	case server || !silent(n.source, n.since):
		n.spare = ""
	case silent(n.spare, n.spared):
		n.spare, n.spared = n.next(p.Voters), now
	}
	if n.spare != "" {
		wanted[n.spare] = above
	}
	return wanted
}

// next is the voter behind the present spare, in an order that each member has for itself.
func (n *neighbours) next(voters []store.MemberID) store.MemberID {
	able := slices.DeleteFunc(slices.Clone(voters), func(id store.MemberID) bool { return id == n.self || id == n.source })
	if len(able) == 0 {
		return ""
	}
	slices.SortFunc(able, func(a, b store.MemberID) int { return cmp.Or(cmp.Compare(n.draw(a), n.draw(b)), cmp.Compare(a, b)) })
	return able[(slices.Index(able, n.spare)+1)%len(able)]
}

func (n *neighbours) draw(id store.MemberID) uint64 { return draw.Number(n.self, id) }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// isServer says whether a member is a server of raft.
func (p Position) isServer(id store.MemberID) bool {
	return slices.Contains(p.Voters, id) || slices.Contains(p.Nonvoters, id)
}
