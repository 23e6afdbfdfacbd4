package agent

import (
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/plan"
	"github.com/hanse-fleet/hanse/transport"
)

// fleetStatus is the fleet as this member sees it now.
func (c *Core) fleetStatus(works []v1alpha1.Work) v1alpha1.FleetStatus {
	v := c.store.View()
	now := time.Now()
	seen := c.sightings(v)
	raft := c.node.Status()
	s := v1alpha1.FleetStatus{
		Fleet: c.self.Fleet, Member: c.self.Cluster, Revision: uint64(v.Revision()),
		RegionsYouCanLose: []string{}, Clusters: []v1alpha1.ClusterFleetStatus{},
	}
	region, alive := map[string]string{}, map[string]bool{}
	rtt := c.roundTrips()
	s.Epoch, s.EpochID = v.Epoch().Number, v.Epoch().ID
	for _, m := range v.Members() {
		voter := slices.Contains(raft.Voters, m.ID)
		sight := seen[m.Cluster]
		if m.ID == c.id() {
			sight.revision, sight.at = v.Revision(), now
		}
		if voter {
			region[m.Cluster], alive[m.Cluster] = m.Region, sight.fresh(now)
		}
		if m.ID == raft.Leader {
			s.Leader = m.Cluster
		}
		s.Clusters = append(s.Clusters, statusOfCluster(m, voter, sight, v.Revision(), rtt[transport.MemberID(m.ID)], now))
	}
	for i := range s.Clusters {
		s.Clusters[i].Zone = zoneOf(v, s.Clusters[i].Name)
		s.Clusters[i].Bundles = countBundles(s.Clusters[i].Name, works)
	}
	slices.SortFunc(s.Clusters, func(a, b v1alpha1.ClusterFleetStatus) int { return strings.Compare(a.Name, b.Name) })
	s.Quorum.Voters = len(region)
	for _, up := range alive {
		if up {
			s.Quorum.Reached++
		}
	}
	s.Quorum.Have = s.Leader != "" && s.Quorum.Reached > s.Quorum.Voters/2
	if s.Quorum.Have {
		s.RegionsYouCanLose = append(s.RegionsYouCanLose, plan.CanLose(region, alive)...)
	} else {
		s.Warnings = append(s.Warnings, "no quorum: reads are answered from this member's own copy; writes wait")
	}
	if err := c.node.Stopped(); err != nil {
		s.Warnings = append(s.Warnings, "this member stopped applying the log: "+err.Error())
	}
	return s
}

func statusOfCluster(m store.Member, voter bool, seen sighting, revision store.Revision, rtt time.Duration, now time.Time) v1alpha1.ClusterFleetStatus {
	cs := v1alpha1.ClusterFleetStatus{
		Name: m.Cluster, Region: m.Region, Voter: voter, Reachable: seen.fresh(now),
		Revision: uint64(seen.revision), RTTMillis: float64(rtt.Microseconds()) / 1000,
	}
	if !seen.at.IsZero() {
		cs.LastSeen = &metav1.Time{Time: seen.at}
	}
	if seen.revision < revision {
		cs.Lag = uint64(revision - seen.revision)
	}
	for _, b := range seen.bundles {
		if d := b.Status.LastDrift; d != nil && (cs.LastDrift == nil || d.At.After(cs.LastDrift.At.Time)) {
			cs.LastDrift = d
		}
	}
	return cs
}

func countBundles(cluster string, works []v1alpha1.Work) (n v1alpha1.BundleCounts) {
	for _, w := range works {
		if w.Spec.Cluster != cluster {
			continue
		}
		n.Total++
		switch {
		case w.Status.Conditions[0].Status == metav1.ConditionTrue:
			n.Ready++
		case len(w.Status.Problems) > 0 || w.Status.Health == v1alpha1.HealthFailed || cannotAct(w):
			n.Failed++
		}
		if w.Status.Drifted > 0 {
			n.Drifted++
		}
	}
	return n
}

// cannotAct says that the cluster's member said why it does nothing about a bundle, and that it is not only starting.
func cannotAct(w v1alpha1.Work) bool {
	c := w.Status.Conditions[0]
	return c.Status == metav1.ConditionUnknown && c.Reason != "Starting"
}

// roundTrips are the round trips to connected members, by transport's own measure.
func (c *Core) roundTrips() map[transport.MemberID]time.Duration {
	rtt := map[transport.MemberID]time.Duration{}
	for _, p := range c.endpoint.Peers() {
		rtt[p.ID] = p.RTT
	}
	return rtt
}
