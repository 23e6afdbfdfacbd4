package consensus

import (
	"cmp"
	"slices"
	"time"

	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/internal/draw"
)

const (
	// maxFollowers is how many members follow one source at most.
	maxFollowers = 64
	// seats is how many followers of a source are counted on: they spread by chance, so some sources get more.
	seats = 48
	// fewestRelays is how many relays a region without a server of raft has, so that one may die.
	fewestRelays = 2
)

// surroundings are what a member chooses its source by.
type surroundings struct {
	self    MemberID
	members []store.Member
	servers map[MemberID]bool // of raft
	// rtt is the round trip to a member, where it is known.
	rtt func(MemberID) (time.Duration, bool)
}

// sources lists whom the member may follow, best first. In a region with servers of raft its members follow these, or,
// when they are too many, relays beside them. In a region without, relays follow servers elsewhere, and the others the
// relays. Who cannot reach anyone of its region follows a far server. Since relays follow servers only, there are no
// circles, and nobody is further than two steps from raft.
func (s surroundings) sources() []MemberID {
	region, known := s.region()
	if !known {
		return nil
	}
	near, far := s.roots(region)
	if relays := s.relays(region, len(near)); !slices.Contains(relays, s.self) {
		near = append(near, relays...)
	}
	slices.SortFunc(near, s.byChance)
	slices.SortFunc(far, s.byDistance)
	return append(near, far...)
}

// others are all members beside the usual sources that may serve: they may vote, so they are trusted. One that follows us,
// or is too far from raft, says so by its path.
func (s surroundings) others(usual []MemberID) (ids []MemberID) {
	for _, m := range s.members {
		if m.Eligible && m.ID != s.self && !slices.Contains(usual, m.ID) {
			ids = append(ids, m.ID)
		}
	}
	return ids
}

func (s surroundings) region() (string, bool) {
	i := slices.IndexFunc(s.members, func(m store.Member) bool { return m.ID == s.self })
	if i < 0 {
		return "", false
	}
	return s.members[i].Region, true
}

// roots are the servers of raft in the region, and elsewhere.
func (s surroundings) roots(region string) (near, far []MemberID) {
	for _, m := range s.members {
		_, server := s.servers[m.ID]
		switch {
		case !server || m.ID == s.self:
		case m.Region == region:
			near = append(near, m.ID)
		default:
			far = append(far, m.ID)
		}
	}
	return near, far
}

// relays of a region are its first members that may vote, as many as it needs. They are trusted like voters: whoever
// follows one takes from it what the log is.
func (s surroundings) relays(region string, servers int) []MemberID {
	followers := 0
	var able []MemberID
	for _, m := range s.members {
		if _, server := s.servers[m.ID]; server || m.Region != region {
			continue
		}
		followers++
		if m.Eligible {
			able = append(able, m.ID)
		}
	}
	need := (followers+seats-1)/seats - servers
	if servers == 0 {
		need = max(need, fewestRelays)
	}
	slices.Sort(able)
	return able[:max(0, min(need, len(able)))]
}

// byChance orders sources by a number that is made from both ends, so that followers spread, and stay where they are
// when a source comes or goes.
func (s surroundings) byChance(a, b MemberID) int {
	return cmp.Or(cmp.Compare(s.draw(a), s.draw(b)), cmp.Compare(a, b))
}

// byDistance orders those whose round trip is known before all others.
func (s surroundings) byDistance(a, b MemberID) int {
	da, knowA := s.distance(a)
	db, knowB := s.distance(b)
	if knowA != knowB {
		if knowA {
			return -1
		}
		return 1
	}
	return cmp.Or(cmp.Compare(da, db), s.byChance(a, b))
}

// distance is rough, so that equals stay equal from one look to the next.
func (s surroundings) distance(id MemberID) (time.Duration, bool) {
	if s.rtt == nil {
		return 0, false
	}
	d, ok := s.rtt(id)
	return d / (10 * time.Millisecond), ok
}

func (s surroundings) draw(source MemberID) uint64 { return draw.Number(s.self, source) }
