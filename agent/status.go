package agent

import (
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/epoch"
	"github.com/hanse-fleet/hanse/facts"
	"github.com/hanse-fleet/hanse/keep"
	"github.com/hanse-fleet/hanse/report"
)

// Status is the fleet as this member sees it now, without what runs in the clusters.
func (c *Core) Status() v1alpha1.FleetStatus { return c.fleetStatus(nil) }

// fleetStatus is the fleet as this member sees it now, with what runs in each cluster.
func (c *Core) fleetStatus(bundles map[string]v1alpha1.BundleCounts) v1alpha1.FleetStatus {
	v := c.store.View()
	now := time.Now()
	seen, _, _ := c.reports.Seen()
	me := seen[c.id()]
	me.Revision, me.At = v.Revision(), now
	seen[c.id()] = me
	raft := c.node.Status()
	council := c.council(v, raft, seen, now)
	names := map[store.MemberID]string{}
	s := v1alpha1.FleetStatus{
		Fleet: c.self.Fleet, Member: c.self.Cluster, Revision: uint64(v.Revision()),
		Epoch: v.Epoch().Number, EpochID: v.Epoch().ID, LogVersion: v.Version(),
		RegionsYouCanLose: council.canLose(), Quorum: council.quorum(), Clusters: []v1alpha1.ClusterFleetStatus{},
		AdminRegions: adminRegions(v.Members()),
	}
	rtt := c.roundTrips()
	for _, m := range v.Members() {
		names[m.ID] = m.Cluster
		cs := statusOfCluster(m, seen[m.ID], v.Revision(), rtt[m.ID], now)
		cs.Voter, cs.Standby = slices.Contains(raft.Voters, m.ID), slices.Contains(raft.Nonvoters, m.ID)
		if !cs.Reachable {
			cs.SeenGoneBy = goneBy(m.ID, v.Members(), seen, now)
		}
		_, cs.Zone = epoch.RegionAndZone(v, m.Cluster)
		cs.OnlyLooks = epoch.Looks(v, m.Cluster)
		cs.Bundles = bundles[m.Cluster]
		if cs.Reachable {
			cs.NotAggregated = notAggregated(seen[m.ID])
		}
		s.Clusters = append(s.Clusters, cs)
	}
	slices.SortFunc(s.Clusters, func(a, b v1alpha1.ClusterFleetStatus) int { return strings.Compare(a.Name, b.Name) })
	s.Leader = names[raft.Leader]
	s.Starting = starting(s, now.Sub(c.read))
	s.VoterChange = council.change(func(id string) string { return names[store.MemberID(id)] })
	s.GroupsWithoutRecovery = keep.Unrecovered(c.decoded, v)
	s.Warnings = c.warnings(s)
	var worry string
	if s.Backup, worry = c.backupStatus(v, now); worry != "" {
		s.Warnings = append(s.Warnings, worry)
	}
	return s
}

// startTime is how long a member that has started may take to find the others, and to know who leads.
const startTime = 5 * time.Second

// starting says that a member does not know yet how the fleet is, which is another thing than to know that there is no quorum.
func starting(s v1alpha1.FleetStatus, up time.Duration) bool {
	return up < startTime && (!s.Quorum.Have || s.Leader == "")
}

// adminRegions are the regions with a member that passes on what admins write.
func adminRegions(members []store.Member) []string {
	regions := []string{}
	for _, m := range members {
		if m.Rights == string(v1alpha1.RightsAdmin) {
			regions = append(regions, m.Region)
		}
	}
	slices.Sort(regions)
	return slices.Compact(regions)
}

func (c *Core) warnings(s v1alpha1.FleetStatus) (all []string) {
	if !s.Quorum.Have {
		all = append(all, "no quorum: reads are answered from this member's own copy; writes wait for voters to return, or for `hanse recover` when they are lost for good")
	}
	if said := epoch.OnlyLooks(c.store.View()); said != "" {
		all = append(all, said)
	}
	if held := heldBack(c.store.View()); held != "" {
		all = append(all, held)
	}
	all = append(all, c.suspended(c.store.View())...)
	all = append(all, keep.Unread(c.decoded, c.store.View())...)
	v := c.store.View()
	all = append(all, keep.AtRisk(c.decoded, v, c.there(v))...)
	if said := c.outdated(); said != "" {
		all = append(all, said)
	}
	if w := leaseWarning(c.id(), c.node.Status().Voters, c.vitals(time.Now())); w != "" {
		all = append(all, w)
	}
	if err := c.node.Stopped(); err != nil {
		all = append(all, "this member stopped applying the log: "+err.Error())
	}
	return all
}

func statusOfCluster(m store.Member, seen report.Sighting, revision store.Revision, rtt time.Duration, now time.Time) v1alpha1.ClusterFleetStatus {
	cs := v1alpha1.ClusterFleetStatus{
		Name: m.Cluster, Region: m.Region, Reachable: seen.Fresh(now),
		Revision: uint64(seen.Revision), RTTMillis: float64(rtt.Microseconds()) / 1000,
	}
	if !seen.At.IsZero() {
		cs.LastSeen = &metav1.Time{Time: seen.At}
	}
	if seen.Revision < revision {
		cs.Lag = uint64(revision - seen.Revision)
	}
	for _, b := range seen.Bundles {
		if d := b.Status.LastDrift; d != nil && (cs.LastDrift == nil || d.At.After(cs.LastDrift.At.Time)) {
			cs.LastDrift = d
		}
	}
	return cs
}

// notAggregated is why the fleet's API is not in a member's cluster, though it is meant to be; or nothing.
func notAggregated(seen report.Sighting) string {
	if seen.Facts == nil {
		return ""
	}
	f, err := facts.Decode(seen.Facts, seen.FactsAt)
	a := f.Aggregated
	if err != nil || a == nil || a.Status != metav1.ConditionFalse || a.Reason == reasonDisabled || a.Reason == reasonNoCluster {
		return ""
	}
	return a.Reason
}

// counted adds one bundle to those of a cluster.
func counted(n v1alpha1.BundleCounts, ready metav1.Condition, said v1alpha1.WorkStatus) v1alpha1.BundleCounts {
	n.Total++
	switch {
	case ready.Status == metav1.ConditionTrue || runsMeanwhile(ready, said):
		n.Ready++
	case len(said.Problems) > 0 || said.Health == v1alpha1.HealthFailed || cannotAct(ready):
		n.Failed++
	case ready.Reason == v1alpha1.ReasonSuspended:
		n.Suspended++
	}
	if said.Drifted > 0 {
		n.Drifted++
	}
	return n
}

// runsMeanwhile says that a cluster runs, healthy, what it was granted before, while it waits for what is wanted: of a rollout there is a line.
func runsMeanwhile(ready metav1.Condition, said v1alpha1.WorkStatus) bool {
	waits := ready.Reason == v1alpha1.ReasonWaiting || ready.Reason == v1alpha1.ReasonOwed
	return waits && said.Health == v1alpha1.HealthReady && len(said.Problems) == 0
}

// cannotAct says that the cluster's member said why it does nothing about a bundle, and that it is not only starting.
func cannotAct(c metav1.Condition) bool {
	return c.Status == metav1.ConditionUnknown && c.Reason != "Starting" && c.Reason != v1alpha1.ReasonObserving && c.Reason != v1alpha1.ReasonSuspended
}

// roundTrip is the one to a member that is connected.
func (c *Core) roundTrip(id store.MemberID) (time.Duration, bool) {
	rtt, ok := c.roundTrips()[id]
	return rtt, ok && rtt > 0
}

// roundTrips are the round trips to connected members, by transport's own measure.
func (c *Core) roundTrips() map[store.MemberID]time.Duration {
	rtt := map[store.MemberID]time.Duration{}
	for _, p := range c.endpoint.Peers() {
		rtt[store.MemberID(p.ID)] = p.RTT
	}
	return rtt
}
