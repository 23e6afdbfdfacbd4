package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/apiserver"
	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/internal/pause"
	"github.com/hanse-fleet/hanse/internal/trouble"
	"github.com/hanse-fleet/hanse/law"
	"github.com/hanse-fleet/hanse/plan"
	"github.com/hanse-fleet/hanse/report"
)

// steer hands the leadership on, while this member leads: to where a person wants it, else to the region from where a
// majority of the voters is nearer.
func (c *Core) steer(ctx context.Context, _ uint64) {
	office := time.Now()
	var move plan.Move
	var stuck trouble.Trouble
	for ctx.Err() == nil {
		var to string
		revision := c.store.View().Revision()
		if to, move = c.betterLeader(office, move); to != "" {
			err := c.node.TransferTo(ctx, store.MemberID(to))
			if err == nil {
				c.log.Info("handed the leadership on", "to", to)
			}
			if ctx.Err() == nil {
				stuck.Tell(c.log, "leadership not handed on", err, "to", to)
			}
		}
		c.await(ctx, []string{v1alpha1.KeyFleets}, revision, nil)
	}
}

// betterLeader is who should lead now in this member's place, "" for nobody, and how long it has been so.
func (c *Core) betterLeader(office time.Time, move plan.Move) (string, plan.Move) {
	now, me := time.Now(), string(c.id())
	seats, trips := c.heirs(now)
	if len(seats) == 0 {
		return "", plan.Move{}
	}
	if place := c.fleetSpec(c.store.View()).Leader; place != nil {
		to := plan.LeaderIn(c.isIn(*place), me, seats, trips)
		if to == me {
			to = ""
		}
		return to, plan.Move{}
	}
	to := plan.BetterLeader(me, seats, trips)
	region := ""
	if i := slices.IndexFunc(seats, func(s plan.Seat) bool { return s.ID == to }); i >= 0 {
		region = seats[i].Region
	}
	move, moves := move.Next(now, office, region)
	if !moves {
		to = ""
	}
	return to, move
}

// heirs are the voters, able to lead if they have been stable for a while, and their round trips; none while a change
// of the voters is under way.
func (c *Core) heirs(now time.Time) ([]plan.Seat, plan.Trips) {
	seen, _, _ := c.reports.Seen()
	raft := c.node.Status()
	k := c.council(c.store.View(), raft, seen, now)
	if k.change(func(id string) string { return id }) != nil {
		return nil, nil
	}
	trips := plan.Trips{}
	for i, s := range k.now {
		if v := seen[store.MemberID(s.ID)].Vitals; v != nil {
			trips[s.ID] = map[string]time.Duration{}
			for other, trip := range v.RTT {
				trips[s.ID][string(other)] = report.FromMillis(trip.Least)
			}
		}
		stable := func(p consensus.Peer) bool { return string(p.ID) == s.ID && p.Stable }
		k.now[i].Able = s.ID == string(c.id()) || s.Able && slices.ContainsFunc(raft.Peers, stable)
	}
	return k.now, trips
}

// isIn says whether a voter is at a place.
func (c *Core) isIn(place v1alpha1.LeaderPlace) func(plan.Seat) bool {
	v := c.store.View()
	return func(s plan.Seat) bool {
		m, _ := v.Member(store.MemberID(s.ID))
		return place.Cluster != "" && m.Cluster == place.Cluster || place.Region != "" && m.Region == place.Region
	}
}

// serveLead moves the leadership by a person's word: it writes the place into the fleet's settings, and tells when the
// leader is there.
func (c *Core) serveLead(w http.ResponseWriter, r *http.Request) {
	ask, ok := posted[v1alpha1.LeadRequest](w, r, "move the leadership with POST", "request")
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), within(r, leadWait))
	defer cancel()
	moved, err := c.Lead(ctx, apiserver.Asking(r.Context()), ask)
	if err != nil {
		fail(w, codeOf(err), err)
		return
	}
	answer(w, http.StatusOK, moved)
}

// Lead keeps the leadership at a place from now on, or lets it go where it is best again, and returns once the leader is
// there, or when ctx ends; the place is written then, too.
func (c *Core) Lead(ctx context.Context, asker apiserver.Asker, ask v1alpha1.LeadRequest) (v1alpha1.LeadAnswer, error) {
	began := time.Now()
	a := v1alpha1.LeadAnswer{From: c.leaderCluster()}
	place, err := c.place(ask)
	if err != nil {
		return a, err
	}
	if err := c.setPlace(ctx, asker, place); err != nil {
		return a, err
	}
	for {
		if a.To = c.leaderCluster(); place == nil || a.To != "" && c.leadsAt(*place) {
			a.TookMillis = time.Since(began).Milliseconds()
			return a, nil
		}
		if !pause.For(ctx, 10*time.Millisecond) {
			a.Waits = true
			return a, nil
		}
	}
}

// place is what a person's word means: a cluster's name comes before a region's. It is refused when nobody votes there,
// since then nothing would happen. nil: wherever it is best.
func (c *Core) place(ask v1alpha1.LeadRequest) (*v1alpha1.LeaderPlace, error) {
	if ask.Auto {
		return nil, nil
	}
	votes := c.node.Status().Voters
	var cluster, region, voters []string
	regionVotes := false
	for _, m := range c.store.View().Members() {
		voter := slices.Contains(votes, m.ID)
		if voter {
			voters = append(voters, m.Cluster)
		}
		if m.Cluster == ask.Place {
			cluster = append(cluster, m.Cluster)
		}
		if m.Region == ask.Place {
			region = append(region, m.Cluster)
			regionVotes = regionVotes || voter
		}
	}
	slices.Sort(voters)
	switch {
	case len(cluster) > 0 && slices.Contains(voters, ask.Place):
		return &v1alpha1.LeaderPlace{Cluster: ask.Place}, nil
	case len(cluster) > 0:
		return nil, fmt.Errorf("%s does not vote, and only a voter can lead: %s", ask.Place, strings.Join(voters, ", "))
	case regionVotes:
		return &v1alpha1.LeaderPlace{Region: ask.Place}, nil
	case len(region) > 0:
		return nil, fmt.Errorf("nobody in region %s votes, and only a voter can lead: %s", ask.Place, strings.Join(voters, ", "))
	}
	return nil, fmt.Errorf("the fleet has no cluster and no region %q", ask.Place)
}

// setPlace writes the place into the fleet's settings.
func (c *Core) setPlace(ctx context.Context, asker apiserver.Asker, place *v1alpha1.LeaderPlace) error {
	_, err := c.again(ctx, func(v *store.View) (p consensus.Proposal, err error) {
		key := v1alpha1.KeyFleets + c.self.Fleet
		kv, ok := v.Get(key)
		if !ok {
			return p, fmt.Errorf("the fleet has no settings: write them with hanse apply, a Fleet of the name %s", c.self.Fleet)
		}
		var fleet v1alpha1.Fleet
		if err := json.Unmarshal(kv.Value, &fleet); err != nil {
			return p, fmt.Errorf("read %s: %w", law.Thing(key), err)
		}
		if samePlace(fleet.Spec.Leader, place) {
			return p, nil
		}
		before := fleet.DeepCopy()
		fleet.Spec.Leader = place
		fleet.Generation++
		op, err := law.Amend(kv, before, &fleet)
		if err != nil {
			return p, err
		}
		return c.recorded(asker, store.Txn{If: []store.Condition{store.KeyAt(key, kv.Modified)}, Then: []store.Op{op}})
	})
	return err
}

func samePlace(a, b *v1alpha1.LeaderPlace) bool {
	return a == nil && b == nil || a != nil && b != nil && *a == *b
}

// leaderCluster is the cluster of the leader that this member knows, "" when it knows none.
func (c *Core) leaderCluster() string {
	id, _, ok := c.node.Leader()
	m, _ := c.store.View().Member(id)
	if !ok {
		return ""
	}
	return m.Cluster
}

func (c *Core) leadsAt(place v1alpha1.LeaderPlace) bool {
	id, _, ok := c.node.Leader()
	return ok && c.isIn(place)(plan.Seat{ID: string(id)})
}
