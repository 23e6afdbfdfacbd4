package plan

import (
	"cmp"
	"slices"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// checkpoint is the least that is counted before it is written down, of what lasts no longer than eight times that; of what does,
// an eighth is. A new leader counts so much anew at most.
const checkpoint = 30 * time.Second

// Quorum is whose word the leader has about who is unreachable.
type Quorum struct {
	// Heard are the clusters of the voters that the leader hears now, its own among them. Whoever one of them hears, the leader does, too.
	Heard []string
	// Voters is how many there are.
	Voters int
	// Evicted is when a cluster was evicted last, by this leader, or when it began to lead.
	Evicted time.Time
	// Refused are clusters of which the log took nothing: no other one waits for their eviction.
	Refused map[string]bool
}

// Unreachables are the clusters of which the log is to say something else about how they are heard; nil: nothing any more. Evicted is
// the one of them that is evicted now, "" when none is. A leader that hears no majority of the voters finds nobody gone.
func Unreachables(s Situation, q Quorum) (next map[string]*v1alpha1.Unreachable, evicted string) {
	s.index()
	w := watch{Situation: &s, Quorum: q, courses: sync.OnceValue(func() []*course { return coursesOf(&s) }), next: map[string]*v1alpha1.Unreachable{}}
	all := sorted(s.byName)
	for _, name := range all {
		w.look(s.byName[name])
	}
	if !w.mayEvict() {
		return w.next, ""
	}
	// who is gone longest goes first
	slices.SortStableFunc(all, func(a, b string) int {
		return cmp.Or(compareBool(w.Refused[a], w.Refused[b]), cmp.Compare(w.gone(b), w.gone(a)))
	})
	for _, name := range all {
		if w.evict(s.byName[name]) {
			return w.next, name
		}
	}
	return w.next, ""
}

// watch is the decision about who is unreachable.
type watch struct {
	*Situation
	Quorum
	courses func() []*course
	next    map[string]*v1alpha1.Unreachable
}

// of is what the log says of a cluster, or is about to.
func (w *watch) of(c *v1alpha1.Cluster) *v1alpha1.Unreachable {
	if u, changed := w.next[c.Name]; changed {
		return u
	}
	return c.Status.Unreachable
}

// unheard says that a majority of the voters hears nothing of a cluster, and has not for long.
func (w *watch) unheard(name string) bool {
	return 2*len(w.Heard) > w.Voters && !w.Sightings[name].Fresh && w.Silent[name] >= lostAfter
}

// look takes down what is heard of a cluster, and how long that lasts.
func (w *watch) look(c *v1alpha1.Cluster) {
	u, fresh := c.Status.Unreachable, w.Sightings[c.Name].Fresh
	switch {
	case u == nil || u.Phase == v1alpha1.UnreachableReturning && !fresh:
		if w.unheard(c.Name) {
			w.next[c.Name] = &v1alpha1.Unreachable{Phase: v1alpha1.UnreachableGone, Since: *w.stamp(), By: slices.Sorted(slices.Values(w.Heard)), Counted: *w.stamp()}
		}
	case u.Phase == v1alpha1.UnreachableReturning:
		if !w.owes(c) {
			w.next[c.Name] = nil
		}
	case u.Phase == v1alpha1.UnreachableGone && fresh && u.Evicted.Duration == 0:
		w.next[c.Name] = nil
	case u.Phase == v1alpha1.UnreachableGone && fresh:
		w.note(c, func(u *v1alpha1.Unreachable) { u.Phase, u.Back = v1alpha1.UnreachableBack, metav1.Duration{} })
	case u.Phase == v1alpha1.UnreachableGone:
		w.count(c)
	case w.isAway(c.Name): // the hold-down begins anew
		w.note(c, func(u *v1alpha1.Unreachable) {
			u.Phase, u.Since, u.For = v1alpha1.UnreachableGone, *w.stamp(), metav1.Duration{}
		})
	case fresh:
		w.holdDown(c)
	}
}

// note writes down something else of a cluster.
func (w *watch) note(c *v1alpha1.Cluster, what func(*v1alpha1.Unreachable)) {
	u := w.of(c).DeepCopy()
	what(u)
	u.Counted = *w.stamp()
	w.next[c.Name] = u
}

// count lets the time go on that a cluster is gone, up to what somebody there tolerates.
func (w *watch) count(c *v1alpha1.Cluster) {
	u, lasts := c.Status.Unreachable, w.gone(c.Name)
	least, waits := w.tolerated(c)
	if !waits {
		return // nobody there waits for it
	}
	if lasts = min(lasts, least-time.Second); due(u.For.Duration, lasts) {
		w.note(c, func(u *v1alpha1.Unreachable) { u.For.Duration = lasts })
	}
}

// holdDown lets the time go on that a cluster is back, and then whatever there is for it come to it.
func (w *watch) holdDown(c *v1alpha1.Cluster) {
	u := c.Status.Unreachable
	lasts := w.lasted(u.Back.Duration, u.Counted.Time)
	holds := w.Fleet.Resolved().Eviction.HoldDown.Duration
	switch {
	case lasts >= holds && !w.leaves(c):
		w.note(c, func(u *v1alpha1.Unreachable) { u.Phase, u.Back.Duration = v1alpha1.UnreachableReturning, lasts })
	case u.Back.Duration < holds && due(u.Back.Duration, min(lasts, holds)):
		w.note(c, func(u *v1alpha1.Unreachable) { u.Back.Duration = min(lasts, holds) })
	}
}

func due(written, lasts time.Duration) bool { return lasts-written >= max(checkpoint, written/8) }

// gone is for how long a cluster has been gone, 0 for one that is not.
func (w *watch) gone(name string) time.Duration {
	u := w.byName[name].Status.Unreachable
	if u == nil || u.Phase != v1alpha1.UnreachableGone {
		return 0
	}
	return w.lasted(u.For.Duration, u.Counted.Time)
}

// lasted is how long something has lasted of which so much was written down, in whole seconds. What no leader wrote down before this one began
// does not count: nobody knows how its clock went.
func (w *watch) lasted(said time.Duration, counted time.Time) time.Duration {
	if counted.Before(w.Began) || counted.After(w.Now.Add(2*time.Second)) { // or a clock was set back
		counted = w.Began
	}
	return said + max(w.Now.Sub(counted), 0).Truncate(time.Second)
}

// tolerated is the shortest time that something in a cluster still tolerates it to be gone; waits: something does, and not for ever.
func (w *watch) tolerated(c *v1alpha1.Cluster) (least time.Duration, waits bool) {
	for _, b := range w.Bundles {
		g, has := w.Grants[b.Name][c.Name]
		if !has || g.Withdraw || !b.Spec.Moves() {
			continue
		}
		d, ever := b.Spec.Placement.Tolerated()
		if !ever && d > c.Status.Unreachable.Evicted.Duration && (!waits || d < least) {
			least, waits = d, true
		}
	}
	return least, waits
}

// mayEvict says whether another cluster may be evicted now: at the rate that the fleet says, and while most clusters are reached. A fleet
// that is frozen moves nothing.
func (w *watch) mayEvict() bool {
	e, gone := w.Fleet.Resolved().Eviction, 0
	for i := range w.Clusters {
		if u := w.of(&w.Clusters[i]); u != nil && u.Phase == v1alpha1.UnreachableGone {
			gone++
		}
	}
	return w.Fleet.Freeze == nil && gone*100 <= int(e.MaxPercent)*len(w.Clusters) && w.Now.Sub(w.Evicted) >= time.Minute/time.Duration(e.PerMinute)
}

// evict takes down that something does not tolerate any longer that a cluster is gone.
func (w *watch) evict(c *v1alpha1.Cluster) bool {
	u := c.Status.Unreachable
	if u == nil || u.Phase != v1alpha1.UnreachableGone || !w.unheard(c.Name) {
		return false
	}
	least, waits := w.tolerated(c)
	lasts := w.gone(c.Name)
	if !waits || lasts < least {
		return false
	}
	w.note(c, func(u *v1alpha1.Unreachable) { u.For.Duration, u.Evicted.Duration = lasts, lasts })
	return true
}

// leaves says that a cluster that is back has not given up yet what others are to have.
func (w *watch) leaves(c *v1alpha1.Cluster) bool {
	return slices.ContainsFunc(w.courses(), func(one *course) bool {
		g, has := one.Grants[one.name][c.Name]
		if one.bundle == nil || !has || g.Withdraw || one.bundle.Spec.Placement.NumberOfClusters == nil || !Evicted(one.bundle.Spec.Placement, c) || one.isOver() {
			return false
		}
		picked, err := one.picked()
		return err == nil && !among(picked, c.Name)
	})
}

// owes says that a cluster that is back for good does not have its part yet of what is divided.
func (w *watch) owes(c *v1alpha1.Cluster) bool {
	return slices.ContainsFunc(w.courses(), func(one *course) bool {
		g, has := one.Grants[one.name][c.Name]
		if one.bundle == nil || !has || g.Withdraw || len(one.bundle.Spec.Division) == 0 || one.isOver() {
			return false
		}
		h := one.homes()
		needs, known := one.needs(h)
		_, wants := needs[c.Name]
		if _, decided := one.redivide(h, sorted(one.Grants[one.name]), needs, one.change().revision); known && !decided {
			return true
		}
		return wants
	})
}
