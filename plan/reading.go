package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// Reading is what a gate said when it was asked.
type Reading struct {
	At     time.Time
	Passes bool
	// Message is what it said, or why it said nothing.
	Message string
}

// Ask is a gate that is to be asked.
type Ask struct {
	Rollout string
	Gate    v1alpha1.RolloutGate
}

// Asks are the gates to ask now: those of waves whose clusters all run the change, each as often as it says. Readings are what this leader
// has asked already.
func Asks(rollouts []*v1alpha1.Rollout, readings map[string]map[string]Reading, now time.Time) (asks []Ask) {
	for _, r := range rollouts {
		if r.Status.Phase.Ended() {
			continue
		}
		asked := map[string]bool{}
		for _, g := range openGates(r, now) {
			if g.Metric == nil {
				continue // the members look
			}
			every, _ := g.Metric.Pace()
			last := readings[r.Name][g.Name].At
			if s := gateStatus(r, g.Name); s != nil && s.Asked.After(last) && !s.Asked.After(now) {
				last = s.Asked.Time
			}
			if !asked[g.Name] && now.Sub(last) >= every {
				asks = append(asks, Ask{Rollout: r.Name, Gate: g})
			}
			asked[g.Name] = true
		}
	}
	return asks
}

// openGates are the gates of the waves that are at them. The log counts in seconds: what is said in the one in which a wave got there may be
// of before.
func openGates(r *v1alpha1.Rollout, now time.Time) (gates []v1alpha1.RolloutGate) {
	for i, w := range r.Spec.Waves {
		if i < len(r.Status.Waves) && r.Status.Waves[i].Open() && r.Status.Waves[i].Ran != nil && now.Sub(r.Status.Waves[i].Ran.Time) >= time.Second {
			gates = append(gates, gatesOf(r, w)...)
		}
	}
	return gates
}

// gatesOf are those that a wave has to pass, without those that a person goes on despite. Who only loses the bundle has none: they judge what the
// change brings.
func gatesOf(r *v1alpha1.Rollout, w v1alpha1.Wave) []v1alpha1.RolloutGate {
	if len(w.Clusters) == 0 {
		return nil
	}
	gates := stageOf(r, w).Gates
	if len(gates) == 0 {
		gates = r.Spec.Gates
	}
	return slices.DeleteFunc(slices.Clone(gates), func(g v1alpha1.RolloutGate) bool {
		return slices.Contains(r.Spec.Orders.DespiteGates, g.Name) || g.Metric == nil && (!g.AsksObject() || forJoiners(w)) // the last good revision may not have the object
	})
}

func gateStatus(r *v1alpha1.Rollout, name string) *v1alpha1.GateStatus {
	for i := range r.Status.Gates {
		if r.Status.Gates[i].Name == name {
			return &r.Status.Gates[i]
		}
	}
	return nil
}

// read takes down what gates have said since.
func (c *course) read() {
	r := c.active
	c.readObjects()
	for _, name := range sorted(c.Readings[r.Name]) {
		said := c.Readings[r.Name][name]
		now := v1alpha1.GateStatus{Name: name, Asked: metav1.Time{Time: said.At.Truncate(time.Second)}, Passes: said.Passes, Message: said.Message}
		if was := gateStatus(r, name); was == nil || now.Asked.After(was.Asked.Time) || c.isAhead(was) {
			c.takeDown(now)
		}
	}
}

// isAhead says that a gate was asked at a time that is yet to come: a clock was set back since.
func (c *course) isAhead(s *v1alpha1.GateStatus) bool {
	return s.Asked.After(c.Now.Add(2 * time.Second))
}

// takeDown is what a gate says now.
func (c *course) takeDown(now v1alpha1.GateStatus) {
	r := c.active
	if was := gateStatus(r, now.Name); was != nil {
		*was = now
		return
	}
	r.Status.Gates = append(slices.Clone(r.Status.Gates), now)
	slices.SortFunc(r.Status.Gates, func(a, b v1alpha1.GateStatus) int { return strings.Compare(a.Name, b.Name) })
}

// pass says whether a wave passes its gates, and takes down since when they are asked: since all its clusters run the change.
func (c *course) pass(i int, runs bool) bool {
	s := &c.active.Status.Waves[i]
	switch gates := gatesOf(c.active, c.active.Spec.Waves[i]); {
	case !runs || len(gates) == 0:
		s.Ran = nil
	case s.Ran == nil || s.Ran.After(c.Now.Add(2*time.Second)): // or a clock was set back
		s.Ran = c.stamp()
	}
	return c.barring(i) == nil
}

// barring is a gate that a wave does not pass, nil when there is none.
func (c *course) barring(i int) *v1alpha1.RolloutGate {
	for _, g := range gatesOf(c.active, c.active.Spec.Waves[i]) {
		if s := c.said(i, g); s == nil || !s.Passes {
			return &g
		}
	}
	return nil
}

// said is what a gate said of a wave, nil for nothing: what it said before its clusters ran the change is of another one, and what it said
// long ago may not be so any more.
func (c *course) said(i int, g v1alpha1.RolloutGate) *v1alpha1.GateStatus {
	if g.AsksObject() {
		return c.saidThere(i, g)
	}
	s, ran := gateStatus(c.active, g.Name), c.active.Status.Waves[i].Ran
	every, timeout := g.Metric.Pace()
	if s == nil || ran == nil || c.isAhead(s) || !s.Asked.After(ran.Time) || c.Now.Sub(s.Asked.Time) > 2*every+timeout {
		return nil
	}
	return s
}

// watchGates stops the rollout when a wave does not pass its gates in time.
func (c *course) watchGates(i int) {
	if due := c.active.Status.Waves[i].Due; due != nil && !c.Now.Before(due.Time) && !c.stopped() {
		c.fail(i, fmt.Sprintf("wave %d, %s, after %s: %s", i+1, named(c.active.Spec.Waves[i].Domain), c.allowed(), c.gateText(i)))
	}
}

// gateText says which gate a wave does not pass, and what that said, for people.
func (c *course) gateText(i int) string {
	g := c.barring(i)
	if g == nil {
		return "its gates pass"
	}
	if s := c.said(i, *g); s != nil {
		return fmt.Sprintf("gate %s does not pass: %s", g.Name, s.Message)
	}
	return fmt.Sprintf("gate %s has said nothing yet", g.Name)
}
