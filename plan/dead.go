package plan

import "time"

// SilentFor is how long a voter is silent before those who should hear it call it dead. It is far above an election
// and a restart.
const SilentFor = 8 * time.Second

// Observer is a voter, and for how long it has not heard the others itself.
type Observer struct {
	ID, Region string
	// Fresh says that its word is new enough to count: it lives.
	Fresh  bool
	Silent map[string]time.Duration
}

// Dead judges a server: it is dead when a majority of the other living voters has heard nothing of it for SilentFor,
// and one of them is in another region than the leader, when any lives there: a region that is cut off must not bury
// the rest of the fleet, nor one bad line a voter.
func Dead(id, leaderRegion string, voters []Observer) bool {
	others, silent, elsewhere, silentElsewhere := 0, 0, 0, 0
	for _, o := range voters {
		if o.ID == id || !o.Fresh {
			continue
		}
		others++
		far := o.Region != leaderRegion
		if far {
			elsewhere++
		}
		if o.Silent[id] < SilentFor {
			continue
		}
		silent++
		if far {
			silentElsewhere++
		}
	}
	return silent > others/2 && (elsewhere == 0 || silentElsewhere > 0)
}
