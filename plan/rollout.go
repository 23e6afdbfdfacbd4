package plan

import (
	"cmp"
	"iter"
	"reflect"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// Situation is what all rollouts are decided from, together: no more than a few fault domains are in change at a time, whatever
// the number of bundles.
type Situation struct {
	Scene
	// Began is when the leader began to lead, by its clock, and Logged the time of the log then. The clock of the leaders before it may have been
	// another: it believes of what they saw as much as the log tells.
	Began, Logged time.Time
	// Fleet is what the fleet says, resolved.
	Fleet      v1alpha1.FleetRollout
	Bundles    []*v1alpha1.Bundle
	Tombstones []*v1alpha1.Tombstone
	Rollouts   []*v1alpha1.Rollout
	// Silent is for how long the leader has not heard of each cluster, since it leads.
	Silent map[string]time.Duration
	// Looking are clusters that only look, until a person says go: nothing is granted to them, nor withdrawn, but where they may still do what
	// they were granted before. To Observing, those of them that came back into a new epoch, nothing is granted whatever they may still do.
	Looking, Observing map[string]bool
	// Revisions are the BundleRevisions that are there: an admin may have struck off one that was good. nil: all.
	Revisions map[string]bool
	// Contents is what a revision brings; false: it is not there. nil: nobody asks.
	Contents func(revision string) (Content, bool)
	// Wall is what the leader's clock shows, for windows: people set it right while it leads, and Now goes on as it began.
	Wall time.Time
	// Zone is the time zone of an IANA name. nil: only UTC is known.
	Zone func(name string) (*time.Location, error)
	// Readings are what gates said to this leader last, by rollout and gate.
	Readings map[string]map[string]Reading

	// Barred are bundles of which nothing can be granted now, and why.
	Barred map[string]string

	// Made once: the clusters by name, and by label the fault domains that are lost.
	byName map[string]*v1alpha1.Cluster
	lostBy map[string][]string
	// courses are those of all bundles, by name. planned says that each knows what its clusters need.
	courses map[string]*course
	planned bool
}

// Step is what is to be written at once for one bundle. Steps are written in their order, and not without those before: what
// lets a fault domain go comes before what takes one.
type Step struct {
	Bundle string
	// Rollouts as they are to be; those that are not there yet have no UID.
	Rollouts []*v1alpha1.Rollout
	// Grants to be, by cluster. One that says parts of what is divided already has these, and no others.
	Grants map[string]v1alpha1.Grant
}

// Decide says what to write next for all rollouts: what was seen of the waves that are granted, which rollouts begin and end,
// and which waves are granted now. It is empty when nothing is to be done.
func Decide(s Situation) []Step {
	s.index()
	courses := coursesOf(&s)
	for _, c := range courses {
		c.observe()
	}
	steps := changed(courses, (*course).comesFirst)
	for _, c := range courses {
		c.plan()
		c.guard()
	}
	s.planned = true
	for _, c := range courses {
		if c.running() != nil {
			c.letGo()
		}
	}
	steps = append(steps, changed(courses, (*course).comesFirst)...)
	slices.SortStableFunc(courses, func(a, b *course) int { return cmp.Compare(a.age(), b.age()) })
	lease := leaseOf(s.Fleet, courses)
	for _, c := range courses {
		c.grant(lease)
		c.conclude()
		c.sum()
	}
	return inOrder(steps, changed(courses, func(*course) bool { return true }))
}

// inOrder has what lets fault domains go first, if any are taken then. If none are, what is said again later need not be said before.
func inOrder(first, then []Step) []Step {
	again := map[string]bool{}
	for _, step := range then {
		if len(step.Grants) > 0 {
			return append(first, then...)
		}
		for _, r := range step.Rollouts {
			again[r.Name] = true
		}
	}
	first = slices.DeleteFunc(first, func(step Step) bool {
		return len(step.Grants) == 0 && !slices.ContainsFunc(step.Rollouts, func(r *v1alpha1.Rollout) bool { return !again[r.Name] })
	})
	return append(first, then...)
}

// comesFirst says that a course lets a fault domain go, holds a cluster back, or ends its rollout: that is written before anything is taken, or
// another begins. All else can wait for what is decided after it, so that a thousand rollouts are written once.
func (c *course) comesFirst() bool {
	if len(c.granted) > 0 {
		return true
	}
	for _, r := range []*v1alpha1.Rollout{c.before, c.active} {
		if r == nil || c.written[r.Name] == nil {
			continue
		}
		if r.Status.Phase.Ended() && !c.written[r.Name].Status.Phase.Ended() {
			return true
		}
		for _, domain := range c.written[r.Name].Status.InChange {
			if !slices.Contains(r.Status.InChange, domain) {
				return true
			}
		}
	}
	return false
}

// course is one bundle's way, while it is decided on.
type course struct {
	*Situation
	name string
	// bundle is nil when it was deleted.
	bundle     *v1alpha1.Bundle
	tombstones []*v1alpha1.Tombstone
	// rollouts of the name, as they are; active is the one that has not ended, if any, and before the one that it takes the
	// place of.
	rollouts       []*v1alpha1.Rollout
	active, before *v1alpha1.Rollout
	// wanted is what each cluster needs; known says that it could be found out.
	wanted map[string]need
	known  bool
	// written is what the steps so far have said.
	written map[string]*v1alpha1.Rollout
	granted map[string]v1alpha1.Grant
	// why is what the next wave waits for.
	why stay
	// waits are what each stage of the active rollout waits for, once it was found out.
	waits map[string]*v1alpha1.RolloutWait
	// drops are what goes between revisions, once it was found out.
	drops map[way]*drop
}

// index makes what is looked up while it is decided.
func (s *Situation) index() {
	s.byName, s.lostBy = map[string]*v1alpha1.Cluster{}, map[string][]string{}
	for i := range s.Clusters {
		s.byName[s.Clusters[i].Name] = &s.Clusters[i]
	}
}

// coursesOf are all bundles that are there, leave, or are in change, by name.
func coursesOf(s *Situation) []*course {
	by := map[string]*course{}
	of := func(name string) *course {
		if by[name] == nil {
			by[name] = &course{Situation: s, name: name, written: map[string]*v1alpha1.Rollout{}, waits: map[string]*v1alpha1.RolloutWait{}, granted: map[string]v1alpha1.Grant{}}
		}
		return by[name]
	}
	for _, b := range s.Bundles {
		of(b.Name).bundle = b
	}
	for _, t := range s.Tombstones {
		c := of(t.Bundle)
		c.tombstones = append(c.tombstones, t)
	}
	for _, r := range s.Rollouts {
		c := of(r.Spec.Bundle)
		c.rollouts = append(c.rollouts, r)
		if !r.Status.Phase.Ended() && (c.active == nil || came(c.active, r) < 0) {
			c.active = r.DeepCopy()
			c.written[r.Name] = r
		}
	}
	s.courses = by
	courses := make([]*course, 0, len(by))
	for _, c := range by {
		courses = append(courses, c)
	}
	slices.SortFunc(courses, func(a, b *course) int { return cmp.Compare(a.name, b.name) })
	return courses
}

// running is the rollout that has not ended; one may end while it is decided on. nil: none.
func (c *course) running() *v1alpha1.Rollout {
	if c.active == nil || c.active.Status.Phase.Ended() {
		return nil
	}
	return c.active
}

// all are the rollouts of the name, the one that is decided on as it is by now.
func (c *course) all() iter.Seq[*v1alpha1.Rollout] {
	return func(yield func(*v1alpha1.Rollout) bool) {
		for _, r := range c.rollouts {
			if c.active != nil && r.Name == c.active.Name {
				r = c.active
			}
			if !yield(r) {
				return
			}
		}
	}
}

// age orders rollouts: those that began first go first.
func (c *course) age() int64 {
	if c.active == nil {
		return 0
	}
	return c.active.CreationTimestamp.Unix()
}

// changed are the steps of some courses that say what was not said yet.
func changed(courses []*course, of func(*course) bool) (steps []Step) {
	for _, c := range courses {
		if !of(c) {
			continue
		}
		step := Step{Bundle: c.name, Grants: c.granted}
		for _, r := range []*v1alpha1.Rollout{c.before, c.active} {
			if r != nil && !reflect.DeepEqual(r, c.written[r.Name]) {
				step.Rollouts = append(step.Rollouts, r.DeepCopy())
				c.written[r.Name] = r.DeepCopy()
			}
		}
		if len(step.Rollouts) > 0 || len(step.Grants) > 0 {
			steps = append(steps, step)
		}
		c.granted = map[string]v1alpha1.Grant{}
	}
	return steps
}

// grantOf is a cluster's grant, with what this decision changes.
func (c *course) grantOf(cluster string) (v1alpha1.Grant, bool) {
	if g, ok := c.granted[cluster]; ok {
		return g, true
	}
	g, ok := c.Grants[c.name][cluster]
	return g, ok
}

// stamp is now, as the log keeps it: in whole seconds, and never earlier than it is.
func (s *Situation) stamp() *metav1.Time {
	return &metav1.Time{Time: s.Now.Add(time.Second - 1).Truncate(time.Second)}
}

// cluster is one of the fleet, nil when it is not there any more.
func (s *Situation) cluster(name string) *v1alpha1.Cluster { return s.byName[name] }
