package plan

import (
	"fmt"
	"slices"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// lease says in which fault domains changes are. There is one for the whole fleet.
type lease struct {
	most int
	// holders of each fault domain in change, and those that hold it and do not go on by themselves. Where rollouts go by two labels, of a
	// fleet whose label was changed meanwhile, those of one wait until nobody holds a domain of the other.
	holders, stuck map[place][]string
	// turns are the fault domains in change by those that wait for their turn: all but what a person let in all at once, without what an earlier
	// rollout left there. That takes others nowhere with it.
	turns map[place]bool
	// queue says that an older rollout waits for a fault domain: younger ones do not keep others in change for ever.
	queue bool
}

// place is a fault domain: a value of a label.
type place struct{ label, domain string }

func leaseOf(f v1alpha1.FleetRollout, courses []*course) *lease {
	l := &lease{most: int(f.MaxDomains), holders: map[place][]string{}, stuck: map[place][]string{}, turns: map[place]bool{}}
	for _, c := range courses {
		if c.active == nil {
			continue
		}
		for _, domain := range c.active.Status.InChange {
			at := place{c.label(), domain}
			l.take(at, c)
			if c.held() || c.blocked() != "" || c.keepsWaiting() {
				l.stuck[at] = append(l.stuck[at], c.name)
			}
		}
	}
	return l
}

func (l *lease) take(at place, c *course) {
	if !slices.Contains(l.holders[at], c.name) {
		l.holders[at] = append(l.holders[at], c.name)
	}
	carried := func(w v1alpha1.Wave) bool { return w.Domain == at.domain }
	if !c.active.Spec.Orders.AllAtOnce || slices.ContainsFunc(c.active.Spec.Carried, carried) {
		l.turns[at] = true
	}
}

// admits says whether a bundle may begin to change a fault domain, or go on in it.
func (l *lease) admits(at place, bundle string) bool {
	switch holders := l.holders[at]; {
	case slices.Contains(holders, bundle):
		return true
	case l.others(at.label):
		return false
	case !l.turns[at] && len(l.turns) >= l.most:
		return false
	case len(holders) > 0:
		return !l.queue || len(l.stuck[at]) > 0
	}
	return len(l.holders) < l.most
}

// others says that somebody holds a fault domain of another label.
func (l *lease) others(label string) bool {
	for at := range l.holders {
		if at.label != label {
			return true
		}
	}
	return false
}

// stopped says who of those in the way does not go on by itself, and what to look at, for people.
func (l *lease) stopped() string {
	bundles := bundlesIn(l.stuck)
	if len(bundles) == 0 {
		return ""
	}
	return fmt.Sprintf("; %s waits for a person: hanse rollout status %s", fewNames(bundles), bundles[0])
}

// inTheWay says who changes other fault domains now, for people.
func (l *lease) inTheWay() string {
	return fewNames(bundlesIn(l.holders))
}

// bundlesIn are the bundles of fault domains, each once, sorted.
func bundlesIn(domains map[place][]string) (bundles []string) {
	for _, of := range domains {
		bundles = append(bundles, of...)
	}
	slices.Sort(bundles)
	return slices.Compact(bundles)
}
