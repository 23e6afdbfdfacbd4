package plan

import (
	"cmp"
	"slices"
	"time"
)

const (
	// Another region must be better by both margins before the leadership moves there.
	marginPart = 5 // a fifth
	marginTime = 5 * time.Millisecond
	// leaderSteady is for how long it must have been better, leaderHold the least time in office before that.
	leaderSteady = 30 * time.Second
	leaderHold   = time.Minute
)

// Trips are the round trips between voters, as each measures them.
type Trips map[string]map[string]time.Duration

// between is the longer of what the two say, 0 when neither does.
func (t Trips) between(a, b string) time.Duration { return max(t[a][b], t[b][a]) }

// QuorumLatency is the round trip from a voter to the last of the nearest majority, itself included: what a commit
// costs when it leads. It is not known while too few round trips are.
func QuorumLatency(voter string, voters []Seat, trips Trips) (latency time.Duration, known bool) {
	var others []time.Duration
	for _, s := range voters {
		if d := trips.between(voter, s.ID); s.ID != voter && s.Able && d > 0 {
			others = append(others, d)
		}
	}
	needed := len(voters) / 2
	if len(others) < needed {
		return 0, false
	}
	slices.Sort(others)
	if needed == 0 {
		return 0, true
	}
	return others[needed-1], true
}

// BetterLeader is the able voter, in another region than the leader's, from where the nearest majority is nearer by the
// margin; "" when the leader is well placed.
func BetterLeader(leader string, voters []Seat, trips Trips) string {
	at := slices.IndexFunc(voters, func(s Seat) bool { return s.ID == leader })
	now, known := QuorumLatency(leader, voters, trips)
	if at < 0 || !known {
		return ""
	}
	best, id := now-max(marginTime, now/marginPart), ""
	for _, s := range sortedSeats(voters) {
		there, known := QuorumLatency(s.ID, voters, trips)
		if known && s.Able && s.Region != voters[at].Region && there < best {
			best, id = there, s.ID
		}
	}
	return id
}

// LeaderIn is the able voter of a cluster or region that should lead by a person's word: the one that leads now if it
// is there, else the one from where the nearest majority is nearest; "" when none can.
func LeaderIn(there func(Seat) bool, leader string, voters []Seat, trips Trips) string {
	best, id := time.Duration(0), ""
	for _, s := range sortedSeats(voters) {
		if !s.Able || !there(s) {
			continue
		}
		if s.ID == leader {
			return s.ID
		}
		latency, known := QuorumLatency(s.ID, voters, trips)
		if id == "" || known && latency < best {
			best, id = latency, s.ID
		}
	}
	return id
}

func sortedSeats(all []Seat) []Seat {
	return slices.SortedFunc(slices.Values(all), func(a, b Seat) int { return cmp.Compare(a.ID, b.ID) })
}

// Move is how long the leadership has been wanted in another region.
type Move struct {
	region string
	since  time.Time
}

// Next takes in where it is wanted now, "" for where it is, and says whether to hand it over. office is when the leader
// came into office.
func (m Move) Next(now, office time.Time, region string) (next Move, moves bool) {
	if region != m.region {
		m = Move{region: region, since: now}
	}
	return m, region != "" && now.Sub(m.since) >= leaderSteady && now.Sub(office) >= leaderHold
}
