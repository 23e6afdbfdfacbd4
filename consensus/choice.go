package consensus

import "slices"

// Candidate is a member as whoever chooses the servers of raft sees it.
type Candidate struct {
	ID      MemberID
	Cluster string
	Region  string
	// Eligible members may vote at all.
	Eligible bool
	// Voter is true for those that vote now, Standby for those that are in raft without a vote.
	Voter, Standby bool
	// Stable members are caught up and have been in contact for Timing.Stable. Only of servers of raft is it known; the
	// leader itself is stable.
	Stable bool
}

// Choice is who should be in raft.
type Choice struct {
	Voters []MemberID
	// Standbys follow the leader without a vote, so that one of them can get one at once.
	Standbys []MemberID
}

// standbys is how many members stand by in the simplest choice.
const standbys = 2

// EligibleVoters is the simplest choice: the members that vote now as long as they may, and stable ones up to most, but
// one alone while fewer than three are there to vote. Two others stand by; as long as those that do are not stable, more
// are tried.
func EligibleVoters(most int) func([]Candidate) Choice {
	return func(all []Candidate) Choice {
		var now, ready []MemberID
		for _, c := range all {
			switch {
			case c.Eligible && c.Voter:
				now = append(now, c.ID)
			case c.Eligible && c.Stable:
				ready = append(ready, c.ID)
			}
		}
		want := min(most, len(now)+len(ready))
		if want%2 == 0 {
			want--
		}
		for len(now) < want {
			now, ready = append(now, ready[0]), ready[1:]
		}
		return Choice{Voters: now, Standbys: standingBy(all, now)}
	}
}

// standingBy picks standbys among those that do not vote: stable ones, those that stand by already, one more.
func standingBy(all []Candidate, voters []MemberID) (picked []MemberID) {
	stable := 0
	pick := func(worth func(Candidate) bool) {
		for _, c := range all {
			if !c.Eligible || slices.Contains(voters, c.ID) || slices.Contains(picked, c.ID) || !worth(c) {
				continue
			}
			if stable == standbys || len(picked) > standbys {
				return
			}
			picked = append(picked, c.ID)
			if c.Stable {
				stable++
			}
		}
	}
	pick(func(c Candidate) bool { return c.Stable })
	pick(func(c Candidate) bool { return c.Standby })
	pick(func(Candidate) bool { return true })
	return picked
}

// lawful drops from a choice whoever may not vote, whatever the chooser thinks, and whoever is named twice.
func (c Choice) lawful(candidates []Candidate) Choice {
	eligible := map[MemberID]bool{}
	for _, m := range candidates {
		eligible[m.ID] = m.Eligible
	}
	once := func(ids []MemberID) (out []MemberID) {
		for _, id := range ids {
			if eligible[id] {
				out = append(out, id)
				eligible[id] = false
			}
		}
		return out
	}
	return Choice{Voters: once(c.Voters), Standbys: once(c.Standbys)}
}
