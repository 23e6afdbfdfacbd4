package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// grantsAtOnce is how many clusters a wave, or all that one decision grants of a bundle, has at most: it is written whole, with its
// fault domain, and an entry of the log has its bound.
const grantsAtOnce = 300

// cut makes waves of what clusters need, a stage after the other.
func (c *course) cut(needs map[string]need, first []string) (waves []v1alpha1.Wave) {
	for _, p := range c.parts(needs) {
		for _, w := range c.cutStage(p.needs, first) {
			w.Stage = p.stage
			waves = append(waves, w)
		}
	}
	return waves
}

// cutStage cuts a fault domain after the other, in the order of their names, but those in change first; in each the canary, then the
// others, those of each value of the bundle's own label together. Who loses the bundle is in the last wave of its domain; of a bundle that
// moves, in one of its own.
func (c *course) cutStage(needs map[string]need, first []string) (waves []v1alpha1.Wave) {
	policy, h := c.policy(), c.homes()
	by := map[string][]string{}
	for _, cluster := range sorted(needs) {
		d := h.of(cluster)
		by[d] = append(by[d], cluster)
	}
	domains := sorted(by)
	slices.SortStableFunc(domains, func(a, b string) int {
		return compareBool(slices.Contains(first, b), slices.Contains(first, a))
	})
	for _, d := range domains {
		waves = append(waves, c.cutDomain(h, d, by[d], needs, policy)...)
	}
	return waves
}

func (c *course) cutDomain(h homes, domain string, clusters []string, needs map[string]need, policy v1alpha1.BundleRollout) (waves []v1alpha1.Wave) {
	var give, withdraw []string
	for _, cluster := range clusters {
		if needs[cluster].withdraw {
			withdraw = append(withdraw, cluster)
		} else {
			give = append(give, cluster)
		}
	}
	add := func(clusters []string) {
		for _, revision := range revisions(clusters, needs) {
			of := slices.DeleteFunc(slices.Clone(clusters), func(cluster string) bool { return needs[cluster].instead != revision })
			for some := range slices.Chunk(of, grantsAtOnce) {
				waves = append(waves, v1alpha1.Wave{Domain: domain, Clusters: slices.Clip(some), Revision: revision})
			}
		}
	}
	if n := canary(policy, len(give)); n > 0 && n < len(give) {
		add(give[:n])
		give = give[n:]
	}
	for _, group := range c.grouped(give, policy.Domain) {
		add(group)
	}
	if !c.moves() {
		return c.leave(waves, domain, withdraw, true)
	}
	begun := slices.DeleteFunc(slices.Clone(withdraw), func(cluster string) bool { return !h.dangles(cluster) })
	rest := slices.DeleteFunc(withdraw, h.dangles)
	return c.leave(c.leave(waves, domain, begun, false), domain, rest, false) // who may lose it already waits for nobody, and takes none along
}

// leave adds who loses the bundle in a fault domain: to its last wave, if it may and there is room.
func (c *course) leave(waves []v1alpha1.Wave, domain string, withdraw []string, join bool) []v1alpha1.Wave {
	for some := range slices.Chunk(withdraw, grantsAtOnce) {
		last := len(waves) - 1
		if !join || last < 0 || waves[last].Revision != "" || len(waves[last].Clusters)+len(waves[last].Withdraw)+len(some) > grantsAtOnce {
			waves, last = append(waves, v1alpha1.Wave{Domain: domain}), last+1
		}
		waves[last].Withdraw = slices.Clip(some)
	}
	return waves
}

// revisions that the clusters get instead of the rollout's, sorted: mostly none but "".
func revisions(clusters []string, needs map[string]need) (all []string) {
	for _, cluster := range clusters {
		if r := needs[cluster].instead; !slices.Contains(all, r) {
			all = append(all, r)
		}
	}
	slices.Sort(all)
	return all
}

func canary(policy v1alpha1.BundleRollout, clusters int) int {
	if policy.Canary == nil {
		return 0
	}
	n, err := v1alpha1.CanaryOf(*policy.Canary, clusters)
	if err != nil {
		return 1 // it was checked at the door; in doubt, the fewest
	}
	return n
}

// grouped are the clusters by the value of a label, sorted by it; all together without one.
func (c *course) grouped(clusters []string, label string) (groups [][]string) {
	switch {
	case len(clusters) == 0:
		return nil
	case label == "":
		return [][]string{clusters}
	}
	by := map[string][]string{}
	for _, name := range clusters {
		if cluster := c.cluster(name); cluster != nil {
			by[cluster.Labels[label]] = append(by[cluster.Labels[label]], name)
		}
	}
	for _, value := range sorted(by) {
		groups = append(groups, by[value])
	}
	return groups
}

// grant gives the waves whose turn it is.
func (c *course) grant(l *lease) {
	r := c.running()
	if r == nil {
		return
	}
	r.Status.Lost = c.waitsOut()
	defer c.waiting(r.Status.Wait)
	r.Status.Wait = nil
	if c.halted() || c.Fleet.Freeze != nil || c.blocked() != "" {
		return
	}
	taken, rank := map[string]bool{}, c.rank() // taken by an earlier wave of this rollout
	for i, w := range r.Spec.Waves {
		s := &r.Status.Waves[i]
		switch {
		case s.Over() || !s.Open() && (!c.hasTurn(i, rank) || r.Spec.Orders.Paused && !forJoiners(w)):
			continue
		case s.Open() || taken[w.Domain] && !r.Spec.Orders.AllAtOnce:
			taken[w.Domain] = true
			continue
		}
		if wait := c.waitOf(w); wait != nil {
			r.Status.Wait = cmp.Or(r.Status.Wait, wait)
			c.why = stay{reasonOf(r.Status.Wait), c.waitText(r.Status.Wait)}
			continue
		}
		if heir := c.heir(i); heir != "" {
			if c.why.text == "" { // what the heir itself waits for says more
				c.why = stay{v1alpha1.RolloutWaitsForWaves, fmt.Sprintf("%s keeps it until %s runs it", named(w.Withdraw[0]), heir)}
			}
			continue
		}
		if keeps := c.keptUntilWord(w); keeps != "" {
			c.why = stay{v1alpha1.RolloutWaitsForDeletions, fmt.Sprintf("%s keeps it: %s", keeps, deletionsText(r))}
			continue
		}
		if n := len(c.granted); n > 0 && n+len(w.Clusters)+len(w.Withdraw) > grantsAtOnce {
			return // the next decision grants it
		}
		why := c.notYet(l, i)
		// what does not wait for bundles need not wait for what does, nor who joins for what a person has yet to let in
		taken[w.Domain] = why.reason != v1alpha1.RolloutWaitsForBundle && why.reason != v1alpha1.RolloutWaitsForApproval
		if why.text != "" {
			if c.why.reason != v1alpha1.RolloutWaitsForTurn || why.reason != v1alpha1.RolloutWaitsForTurn { // the first of those that wait in the same queue is told
				c.why = why
			}
			r.Status.Wait = cmp.Or(r.Status.Wait, c.domainWait(w, why))
			continue
		}
		c.give(l, i)
	}
}

// moves says that who loses the bundle loses it to others.
func (c *course) moves() bool { return c.bundle != nil && c.bundle.Spec.Moves() }

// heir is a cluster that is to run the bundle before a wave only takes it away from others, "" for none: of the wave's stage and of those before
// it who gets something and has not settled, and whoever it comes to anew but is away and so owed it. A stage waits for none after it.
func (c *course) heir(i int) string {
	r := c.active
	w := r.Spec.Waves[i]
	if !c.moves() || r.Spec.Orders.AllAtOnce || len(w.Clusters) > 0 || c.underWay(w) {
		return ""
	}
	for j, other := range r.Spec.Waves {
		if len(other.Clusters) > 0 && !r.Status.Waves[j].Over() && !c.late(j) && rankOf(r, other) <= rankOf(r, w) {
			return other.Clusters[0]
		}
	}
	h := c.homes()
	for _, cluster := range c.owed() {
		if g, has := c.grantOf(cluster); !c.wanted[cluster].withdraw && (!has || g.Withdraw || g.Held) && h.beyond(cluster) {
			return cluster
		}
	}
	return ""
}

// held says that the rollout grants nothing more of the change by itself.
func (c *course) held() bool { return c.active.Spec.Orders.Paused || c.halted() }

// halted says that it grants nothing at all: what a person paused still gives who joins the last good revision.
func (c *course) halted() bool {
	return c.stopped() || c.suspended() != "" || c.waitsForWord() || c.barred() != "" || len(c.waitsOut()) > 0
}

// barred is why nothing of the bundle can be granted now; "" when it can be.
func (c *course) barred() string { return cmp.Or(c.Unread[c.name], c.Barred[c.name]) }

// suspended says who stopped the bundle, and why; "" when nobody did.
func (c *course) suspended() string {
	if c.bundle == nil {
		return ""
	}
	return v1alpha1.Suspension(c.bundle)
}

// blocked says why no other wave is granted while those that are granted stand as they do.
func (c *course) blocked() string {
	why, _ := c.blockedBy()
	return why
}

// blockedBy is blocked, and the cluster that was lost, if it is that.
func (c *course) blockedBy() (why, lostCluster string) {
	for i, w := range c.active.Spec.Waves {
		if !c.active.Status.Waves[i].Open() {
			continue
		}
		for _, cluster := range c.active.Status.Waves[i].Waiting {
			switch {
			case c.presence(cluster) == lost:
				return fmt.Sprintf("%s was lost after it was granted the change", cluster), cluster
			case c.standing(cluster, c.revisionOf(w)) == fails:
				return fmt.Sprintf("it fails in %s: %s", cluster, c.problem(cluster)), ""
			}
		}
	}
	return "", ""
}

// stay is why something goes no further, for people also; without a text it does.
type stay struct {
	reason v1alpha1.RolloutReason
	text   string
}

// notYet says why a wave must wait.
func (c *course) notYet(l *lease, i int) stay {
	r, w, lacks := c.active, c.active.Spec.Waves[i], c.lacks(i)
	for _, cluster := range slices.Concat(w.Clusters, w.Withdraw) {
		if c.presence(cluster) == unheard || c.presence(cluster) == here && c.Silent[cluster] >= quietAfter {
			return stay{v1alpha1.RolloutWaitsForWord, "nothing is heard of " + cluster + " for a moment"}
		}
	}
	switch {
	case r.Spec.Orders.AllAtOnce:
		return stay{}
	case r.Spec.Approval == v1alpha1.ApprovalDomain && !c.asksNobody(w) && !c.letInto(w.Domain) && !c.begunIn(w.Domain):
		return stay{v1alpha1.RolloutWaitsForApproval, c.letInText(w.Domain)}
	case lacks != "":
		return stay{v1alpha1.RolloutWaitsForBundle, lacks}
	case !l.admits(place{r.Spec.Domain, w.Domain}, c.name):
		l.queue = true
		return stay{v1alpha1.RolloutWaitsForTurn, fmt.Sprintf("%s waits for its turn behind %s%s", named(w.Domain), l.inTheWay(), l.stopped())}
	}
	return stay{}
}

// letInto says that a person let the change into a fault domain, in this rollout or in one before it: what is owed there is not asked about again.
func (c *course) letInto(domain string) bool {
	return c.ordered(func(o v1alpha1.RolloutOrders) bool { return slices.Contains(o.Approved, domain) })
}

func (c *course) letInText(domain string) string {
	return fmt.Sprintf("a person must let it into %s: hanse rollout approve %s %s", named(domain), c.active.Name, domain)
}

// domainWait is that a person must let the rollout into a fault domain; nil for anything else.
func (c *course) domainWait(w v1alpha1.Wave, why stay) *v1alpha1.RolloutWait {
	if why.reason != v1alpha1.RolloutWaitsForApproval {
		return nil
	}
	return &v1alpha1.RolloutWait{For: v1alpha1.WaitForApproval, Domain: w.Domain, Since: *c.stamp()}
}

// begunIn says that the change has begun in a fault domain. Who joins gets the last good revision first: that is nothing of the change.
func (c *course) begunIn(domain string) bool {
	return c.some(func(w v1alpha1.Wave, s v1alpha1.WaveStatus) bool {
		return s.Granted != nil && w.Domain == domain && !forJoiners(w)
	})
}

// some says that one of the waves of this very rollout is so.
func (c *course) some(so func(v1alpha1.Wave, v1alpha1.WaveStatus) bool) bool {
	for i, w := range c.active.Spec.Waves {
		if so(w, c.active.Status.Waves[i]) {
			return true
		}
	}
	return false
}

// give grants a wave.
func (c *course) give(l *lease, i int) {
	r := c.active
	w, s := r.Spec.Waves[i], &r.Status.Waves[i]
	r.Status.Deleted += c.lostWith(w)
	for _, cluster := range w.Clusters {
		g := v1alpha1.Grant{Bundle: c.name, BundleUID: r.Spec.BundleUID, Revision: c.revisionOf(w)}
		if parts := c.wanted[cluster].parts; parts != nil && w.Revision == "" {
			g.Frozen = &v1alpha1.Frozen{Divided: parts}
		}
		c.granted[cluster] = g
	}
	for _, cluster := range w.Withdraw {
		g, _ := c.grantOf(cluster)
		c.granted[cluster] = v1alpha1.Grant{Bundle: c.name, BundleUID: g.BundleUID, Withdraw: true}
	}
	s.Granted, s.Waiting = c.stamp(), slices.Sorted(slices.Values(slices.Concat(w.Clusters, w.Withdraw)))
	r.Status.Wave = int32(i + 1)
	c.setDue(i)
	l.take(place{r.Spec.Domain, w.Domain}, c)
	if !slices.Contains(r.Status.InChange, w.Domain) {
		r.Status.InChange = append(slices.Clone(r.Status.InChange), w.Domain)
		slices.Sort(r.Status.InChange)
	}
}

// sum says where the rollout is, for people.
func (c *course) sum() {
	r := c.running()
	if r == nil {
		return
	}
	r.Status.Owed = c.owed()
	var phase v1alpha1.RolloutPhase
	var why stay
	phase, why, r.Status.Blocked = c.stands()
	if r.Status.Reason != why.reason || r.Status.Since == nil {
		r.Status.Reason, r.Status.Since = why.reason, c.stamp()
	}
	r.Status.Phase, r.Status.Message = phase, why.text
	SetReady(&r.Status.Conditions, "False", string(phase), why.text, r.Generation, c.Now)
}

// stands says where the rollout is and why it goes no further, and which cluster keeps it that was lost.
func (c *course) stands() (phase v1alpha1.RolloutPhase, why stay, lostCluster string) {
	r, paused := c.active, v1alpha1.RolloutPaused
	blocked, by := c.blockedBy()
	switch {
	case c.stopped():
		return v1alpha1.RolloutFailed, stay{v1alpha1.RolloutStopped, r.Status.Stopped}, ""
	case c.suspended() != "":
		return paused, stay{v1alpha1.RolloutSuspended, v1alpha1.RolledOutOf(c.name).Title() + " is " + c.suspended()}, ""
	case r.Spec.Orders.Paused:
		return paused, stay{v1alpha1.RolloutWaitsForResume, "a person paused it"}, ""
	case c.waitsForWord():
		return paused, stay{v1alpha1.RolloutWaitsForDeletions, "nothing is granted: " + deletionsText(r)}, ""
	case len(r.Status.Lost) > 0:
		return paused, stay{v1alpha1.RolloutDomainLost, c.lostText()}, ""
	case c.Fleet.Freeze != nil:
		return paused, stay{v1alpha1.RolloutFrozen, strings.TrimSuffix("the fleet is frozen: "+c.Fleet.Freeze.Reason, ": ")}, ""
	case by != "":
		return v1alpha1.RolloutRunning, stay{v1alpha1.RolloutClusterLost, blocked}, by
	case blocked != "":
		return v1alpha1.RolloutRunning, stay{v1alpha1.RolloutWaitsForWaves, blocked}, ""
	case r.Status.Wait != nil && r.Status.Wait.For == v1alpha1.WaitForApproval:
		return paused, stay{v1alpha1.RolloutWaitsForApproval, c.waitText(r.Status.Wait)}, ""
	case c.why.reason == v1alpha1.RolloutWaitsForDeletions && !slices.ContainsFunc(r.Status.Waves, v1alpha1.WaveStatus.Open):
		return paused, c.why, ""
	case c.barred() != "":
		return v1alpha1.RolloutRunning, stay{v1alpha1.RolloutBarred, "it cannot be granted: " + c.barred()}, ""
	case !c.some(func(_ v1alpha1.Wave, s v1alpha1.WaveStatus) bool { return s.Granted != nil }):
		return v1alpha1.RolloutPending, c.progress(), ""
	}
	return v1alpha1.RolloutRunning, c.progress(), ""
}

// progress is what the open waves wait for, or why the next one must.
func (c *course) progress() stay {
	waves := func(format string, args ...any) stay {
		return stay{v1alpha1.RolloutWaitsForWaves, fmt.Sprintf(format, args...)}
	}
	r := c.active
	for i, w := range r.Spec.Waves {
		s := r.Status.Waves[i]
		switch {
		case !s.Open():
		case len(s.Waiting) > 0:
			return waves("wave %d of %d, %s: waits for %s", i+1, len(r.Spec.Waves), named(w.Domain), fewNames(s.Waiting))
		case s.Ran != nil && s.Healthy == nil:
			return waves("wave %d of %d, %s: %s", i+1, len(r.Spec.Waves), named(w.Domain), c.gateText(i))
		case s.Healthy != nil:
			return waves("wave %d of %d, %s: soaks until %s", i+1, len(r.Spec.Waves), named(w.Domain), c.soaked(s.Healthy.Time, c.soakOf(w)).UTC().Format("15:04:05Z"))
		}
	}
	return c.why
}
