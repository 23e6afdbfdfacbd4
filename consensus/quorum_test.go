package consensus

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/hanse-fleet/hanse/plan"
)

// standing is a fleet in which a leader makes one change after the other, and nothing else happens.
type standing struct {
	configuration
	all    map[MemberID]plan.Candidate // the members
	target int
}

// drawStanding makes one of up to 14 members and two servers that are members no more. The leader votes; of the others some are
// silent, some of the silent judged dead, some not stable yet.
func drawStanding(t *rapid.T) standing {
	s := standing{all: map[MemberID]plan.Candidate{}, target: rapid.SampledFrom([]int{1, 3, 5, 7}).Draw(t, "target")}
	s.self, s.servers = "m00", map[MemberID]bool{}
	gone := map[MemberID]bool{} // of those that are no members: whether it is silent
	for i := range rapid.IntRange(1, 14).Draw(t, "members") {
		id := MemberID(fmt.Sprintf("m%02d", i))
		c := plan.Candidate{ID: string(id), Region: fmt.Sprint("r", rapid.IntRange(0, 4).Draw(t, "region"))}
		c.Reachable = i == 0 || rapid.IntRange(0, 3).Draw(t, "silent") > 0
		c.Stable = i == 0 || c.Reachable && rapid.IntRange(0, 5).Draw(t, "lags") > 0
		c.Dead = !c.Reachable && rapid.Bool().Draw(t, "dead")
		c.Back = i > 0 && !c.Dead && rapid.IntRange(0, 4).Draw(t, "back") == 0
		if i == 0 || rapid.IntRange(0, 2).Draw(t, "server") > 0 {
			s.servers[id] = i == 0 || rapid.Bool().Draw(t, "votes")
		}
		s.all[id], s.members = c, append(s.members, id)
	}
	for _, id := range []MemberID{"x", "y"}[:rapid.IntRange(0, 2).Draw(t, "gone")] {
		s.servers[id], gone[id] = rapid.Bool().Draw(t, "votes still"), rapid.Bool().Draw(t, "is silent")
	}
	if rapid.IntRange(0, 9).Draw(t, "the leader was removed") == 0 {
		delete(s.all, s.self)
		s.members = s.members[1:]
	}
	s.alive = func(id MemberID) bool {
		if c, member := s.all[id]; member {
			return c.Reachable
		}
		return !gone[id]
	}
	s.ready = func(id MemberID) bool { return s.all[id].Stable }
	return s
}

// choose asks plan anew, as the agent does before each change.
func (s *standing) choose() {
	var candidates []plan.Candidate
	for _, id := range s.members {
		c := s.all[id]
		votes, in := s.servers[id]
		c.Leader, c.Voter, c.Standby = id == s.self, votes, in && !votes
		candidates = append(candidates, c)
	}
	choice := plan.Choose(candidates, s.target)
	ids := func(names []string) (out []MemberID) {
		for _, name := range names {
			out = append(out, MemberID(name))
		}
		return out
	}
	s.wanted, s.standbys = ids(choice.Voters), ids(choice.Standbys)
}

func (s *standing) do(ch change) {
	switch ch.action {
	case changeAdd, changeDemote:
		s.servers[ch.id] = false
	case changePromote:
		s.servers[ch.id] = true
	case changeRemove:
		delete(s.servers, ch.id)
	case changeTransfer:
		s.self = ch.id
	}
}

// decide says that those who are there, the leader with them, are a majority of the voters.
func (s *standing) decide() bool { return s.quorumWithout("") }

// TestOneChangeAtATimeKeepsQuorum walks from any configuration in which the living decide to where nothing is left to change.
func TestOneChangeAtATimeKeepsQuorum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawStanding(t)
		if !s.decide() {
			t.Skip("nobody can decide anything")
		}
		for range 4 * (len(s.members) + len(s.servers)) {
			if len(s.members) == 0 {
				return
			}
			s.choose()
			voters, ch := s.voters(), s.nextChange()
			lives := slices.Contains(s.members, ch.id) && s.alive(ch.id)
			if ch.action == changeDemote && lives && len(voters) <= len(s.wanted) {
				t.Fatalf("of %v one that lives loses its vote before another has it: %s towards %v", voters, ch, s.wanted)
			}
			if ch.action == changePromote && !s.ready(ch.id) {
				t.Fatalf("%s, which is not stable", ch)
			}
			if s.do(ch); !s.decide() {
				t.Fatalf("%v: after %s towards %v the living cannot decide", voters, ch, s.wanted)
			}
			if ch.action == changeNone {
				s.arrived(t)
				return
			}
		}
		t.Fatalf("it does not end: %v of %v, wanted %v", s.servers, s.members, s.wanted)
	})
}

// arrived says that who is stable and wanted votes, once all who vote are there.
func (s *standing) arrived(t *rapid.T) {
	for _, id := range s.voters() {
		if !s.alive(id) || !slices.Contains(s.members, id) {
			return // it may keep its vote, so that others keep theirs
		}
	}
	for _, id := range s.wanted {
		if !s.ready(id) && !s.servers[id] {
			return // it is waited for
		}
	}
	if got := s.voters(); !slices.Equal(got, s.wanted) {
		t.Fatalf("nothing is left to change, and %v vote instead of %v", got, s.wanted)
	}
}
