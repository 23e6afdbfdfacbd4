package agent

import (
	"time"

	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/plan"
	"github.com/hanse-fleet/hanse/report"
)

// backHold is for how long a member that was judged dead is not built upon again, so that a region that comes and goes
// does not move the votes each time.
const backHold = 30 * time.Second

// chooseServers asks plan who should vote and stand by. Only the leader's drive calls it.
func (c *Core) chooseServers(candidates []consensus.Candidate) consensus.Choice {
	now := time.Now()
	seen, _, _ := c.reports.Seen()
	observers, region := c.observers(candidates, seen, now)
	var eligible []plan.Candidate
	for _, m := range candidates {
		if !m.Eligible {
			continue
		}
		p := plan.Candidate{
			ID: string(m.ID), Region: m.Region, Leader: m.ID == c.id(), Voter: m.Voter, Standby: m.Standby,
			Stable: m.Stable, Reachable: m.ID == c.id() || seen[m.ID].Fresh(now),
		}
		if p.Dead = !p.Leader && plan.Dead(p.ID, region, observers); p.Dead {
			c.buried[m.ID] = now
		}
		p.Back = !p.Dead && now.Sub(c.buried[m.ID]) < backHold
		eligible = append(eligible, p)
	}
	choice := plan.Choose(eligible, c.votersWanted(c.store.View(), candidates))
	voters := memberIDs(choice.Voters)
	c.wanted.Store(&voters)
	return consensus.Choice{Voters: voters, Standbys: memberIDs(choice.Standbys)}
}

// observers are the voters with what they last said of silence, and the region of this member, which leads.
func (c *Core) observers(candidates []consensus.Candidate, seen map[store.MemberID]report.Sighting, now time.Time) (voters []plan.Observer, region string) {
	for _, m := range candidates {
		if m.ID == c.id() {
			region = m.Region
		}
		if m.Voter {
			voters = append(voters, observer(m.ID, m.Region, seen[m.ID], now))
		}
	}
	return voters, region
}

// observer is a voter's word as plan sees it, if the voter said it to this member itself. What it called silent has been
// so since.
func observer(id store.MemberID, region string, s report.Sighting, now time.Time) plan.Observer {
	o := plan.Observer{ID: string(id), Region: region, Fresh: s.Fresh(now) && s.Direct && s.Vitals != nil, Silent: map[string]time.Duration{}}
	if s.Vitals != nil {
		for other, seconds := range s.Vitals.Silent {
			o.Silent[string(other)] = time.Duration(seconds * float64(time.Second))
		}
	}
	return o
}

func memberIDs(names []string) []store.MemberID {
	var out []store.MemberID
	for _, id := range names {
		out = append(out, store.MemberID(id))
	}
	return out
}
