package agent

import (
	"slices"
	"time"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/plan"
	"github.com/hanse-fleet/hanse/report"
)

// ableLag is how many revisions a voter may be behind and still count in a majority: it catches up within a moment.
const ableLag = 64

// council is the voters as this member sees them: who could decide now, and what the leader is about to change.
type council struct {
	now, next []plan.Seat
	agreed    []plan.Seat // those of the newest configuration that is committed, if that is known
	living    []string    // regions with a member that is reached
	leader    store.MemberID
}

// council reads the leader's own word where it can: a voter that the leader does not hear is of no use to it, whoever
// else does.
func (c *Core) council(v *store.View, raft consensus.Status, seen map[store.MemberID]report.Sighting, now time.Time) council {
	k := council{leader: raft.Leader}
	var said report.Vitals
	if s := seen[raft.Leader]; s.Fresh(now) && s.Vitals != nil {
		said = *s.Vitals
	}
	newest := v.Revision()
	for _, id := range raft.Voters {
		newest = max(newest, seen[id].Revision)
	}
	wanted := said.Wanted
	if own := c.wanted.Load(); own != nil && raft.Leader == c.id() {
		wanted = *own // it was chosen after what was said, perhaps
	}
	if len(wanted) == 0 {
		wanted = raft.Voters
	}
	for _, m := range v.Members() {
		s := seen[m.ID]
		_, unheard := said.Silent[m.ID]
		seat := plan.Seat{ID: string(m.ID), Region: m.Region, Able: s.Fresh(now) && !unheard && s.Revision+ableLag >= newest}
		if slices.Contains(raft.Voters, m.ID) {
			k.now = append(k.now, seat)
		}
		if slices.Contains(raft.Agreed, m.ID) {
			k.agreed = append(k.agreed, seat)
		}
		if slices.Contains(wanted, m.ID) {
			k.next = append(k.next, seat)
		}
		if s.Fresh(now) && !slices.Contains(k.living, m.Region) {
			k.living = append(k.living, m.Region)
		}
	}
	return k
}

// decides says whether writes work, and canLose without which regions they still would.
func (k council) decides() bool { return k.leader != "" && plan.Majority(k.now, "") }

func (k council) quorum() v1alpha1.Quorum {
	q := v1alpha1.Quorum{Voters: len(k.now), Have: k.decides()}
	for _, s := range k.now {
		if s.Able {
			q.Reached++
		}
	}
	return q
}

func (k council) canLose() []string {
	if !k.decides() {
		return []string{}
	}
	return append([]string{}, plan.CanLose(k.living, append(k.steps(), k.now, k.next)...)...)
}

// steps are the configurations beside that of now and the next: the one that is committed, while those who know of a newer
// one may be lost, and those in between, since whoever comes votes before anybody goes.
func (k council) steps() (between [][]plan.Seat) {
	if len(k.agreed) > 0 {
		between = append(between, k.agreed)
	}
	for _, s := range k.next {
		if !slices.ContainsFunc(k.now, func(o plan.Seat) bool { return o.ID == s.ID }) {
			between = append(between, append(slices.Clone(k.now), s))
		}
	}
	return between
}

// change is what is on its way; nil when nothing is.
func (k council) change(name func(string) string) *v1alpha1.VoterChange {
	missing := func(from, in []plan.Seat) (names []string) {
		for _, s := range from {
			if !slices.ContainsFunc(in, func(o plan.Seat) bool { return o.ID == s.ID }) {
				names = append(names, name(s.ID))
			}
		}
		slices.Sort(names)
		return names
	}
	ch := &v1alpha1.VoterChange{Joining: missing(k.next, k.now), Leaving: missing(k.now, k.next)}
	if len(ch.Joining) == 0 && len(ch.Leaving) == 0 {
		return nil
	}
	ch.ThenYouCanLose = append([]string{}, plan.CanLose(k.living, k.next)...)
	return ch
}

// goneBy are the clusters whose members say, freshly, that they hear nothing of a member.
func goneBy(id store.MemberID, members []store.Member, seen map[store.MemberID]report.Sighting, now time.Time) (clusters []string) {
	for _, m := range members {
		s := seen[m.ID]
		if s.Vitals == nil || !s.Fresh(now) {
			continue
		}
		if _, silent := s.Vitals.Silent[id]; silent {
			clusters = append(clusters, m.Cluster)
		}
	}
	slices.Sort(clusters)
	return clusters
}
