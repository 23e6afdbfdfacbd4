package plan

import (
	"slices"
	"time"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

const (
	// quietAfter is how long a cluster is silent that is granted nothing for the moment, and awayAfter, how long until no wave
	// waits for it: a new leader may just not have heard it.
	quietAfter = 2 * time.Second
	awayAfter  = 4 * time.Second
	// lostAfter is how long a cluster is silent that may not come back.
	lostAfter = 30 * time.Second
	// failedAfter is how long a change must fail before the rollout stops: what is applied again a moment later has not failed.
	failedAfter = 5 * time.Second
)

// presence is whether a cluster can be given anything.
type presence int

const (
	here    presence = iota
	unheard          // for a moment, or by a leader that has just begun
	away
	lost
)

func (s *Situation) presence(cluster string) presence {
	switch silent := s.Silent[cluster]; {
	case s.Sightings[cluster].Fresh:
		return here
	case silent < awayAfter:
		return unheard
	case silent < lostAfter:
		return away
	}
	return lost
}

// standing is how far a cluster is with what a wave granted it.
type standing int

const (
	gone standing = iota // from the fleet, or granted something else since
	runs
	fails
	busy
	silent
	vanished // silent for so long that the change may have killed it
)

// standing of a cluster with a revision.
func (c *course) standing(cluster, revision string) standing {
	g, ok := c.grantOf(cluster)
	if !ok || g.Withdraw || g.Held || g.Revision != revision || c.cluster(cluster) == nil {
		return gone
	}
	switch c.presence(cluster) {
	case lost:
		return vanished
	case away, unheard:
		return silent
	}
	switch w, told := c.told(cluster, g); {
	case !told:
		return busy
	case w.Health == v1alpha1.HealthFailed && slices.ContainsFunc(w.Problems, notRendered):
		return fails // it stays with what it had, and does not get there
	case w.Applied != revision:
		return busy
	case w.Health == v1alpha1.HealthReady:
		return runs
	case w.Health == v1alpha1.HealthFailed:
		return fails
	}
	return busy
}

func notRendered(p v1alpha1.Problem) bool { return p.Reason == v1alpha1.ReasonNotRendered }

// leaving is how far a cluster is with a withdrawal.
func (c *course) leaving(cluster string) standing {
	g, ok := c.grantOf(cluster)
	switch {
	case !ok || !g.Withdraw || g.Held || c.cluster(cluster) == nil:
		return gone
	case c.presence(cluster) == lost:
		return vanished
	}
	return busy
}

// proven says that a cluster is known to have done what it was granted, whenever that was heard: it will do nothing of itself
// when it comes back.
func (c *course) proven(cluster string) bool {
	g, ok := c.grantOf(cluster)
	return !ok || g.Held || !g.Withdraw && c.runsWell(cluster, g)
}
