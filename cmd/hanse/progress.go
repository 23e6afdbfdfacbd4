package main

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/plan"
)

// goal is what --wait waits for: a bundle is in its clusters at a revision, and in no other cluster.
type goal struct {
	bundle string
	// revision that the clusters should run; empty when the bundle was deleted.
	revision string
	clusters []string
}

// revisionIn is what a cluster is to be granted, one where the bundle should be or one that it is to leave.
func (g goal) revisionIn(should bool) string {
	if should {
		return g.revision
	}
	return ""
}

// place is one bundle in one cluster.
type place struct{ bundle, cluster string }

// state is how far a place is.
//
//	pending ──► failing ──► (pending again, or the wait ends)
//	   │├────────► owed         its cluster is away, or has no key; it gets there when that is over
//	   │└────────► held         it is not granted there, or not carried out, before a person says how to go on
//	   └─► arrived / withdrawn  there, and healthy / gone, as it should be
type state int

const (
	pending state = iota
	failing
	held
	owed
	withdrawn
	arrived
)

// A refusal may pass, when a definition or a namespace is still on its way, and so does the lack of a key; after this long it is taken for one.
const settled = 10 * time.Second

// progress is what is known on the way to goals. It knows no clock: times are given.
type progress struct {
	goals []goal
	works map[place]v1alpha1.Work
	// rollouts are those of the goals' bundles that have begun.
	rollouts map[string]v1alpha1.Rollout
	// away are clusters that the member asked does not reach.
	away map[string]bool
	// entered is when each place came into the state that it is in.
	entered map[place]entry
}

type entry struct {
	state state
	at    time.Time
}

// standing is a place and how far it is.
type standing struct {
	place
	entry
	work v1alpha1.Work
}

func newProgress(goals ...goal) *progress {
	return &progress{goals: goals, works: map[place]v1alpha1.Work{}, rollouts: map[string]v1alpha1.Rollout{}, away: map[string]bool{}, entered: map[place]entry{}}
}

// look takes in what has changed, at a time, and returns every place, in order.
func (p *progress) look(now time.Time) []standing {
	var all []standing
	for _, g := range p.goals {
		for _, at := range p.places(g) {
			s := p.stateOf(g, at)
			if e, known := p.entered[at]; !known || e.state != s {
				p.entered[at] = entry{s, now}
			}
			all = append(all, standing{at, p.entered[at], p.works[at]})
		}
	}
	return all
}

// places are the clusters that a bundle goes to, and those that it was seen in.
func (p *progress) places(g goal) []place {
	var all []place
	for _, c := range g.clusters {
		all = append(all, place{g.bundle, c})
	}
	add := func(at place) {
		if at.bundle == g.bundle && !slices.Contains(all, at) {
			all = append(all, at)
		}
	}
	for at := range p.works {
		add(at)
	}
	for at := range p.entered {
		add(at)
	}
	slices.SortFunc(all, func(a, b place) int { return cmp.Compare(a.cluster, b.cluster) })
	return all
}

func (p *progress) stateOf(g goal, at place) state {
	work, there := p.works[at]
	should := slices.Contains(g.clusters, at.cluster)
	switch {
	case !should && !there:
		return withdrawn
	case should && there && runs(work, g.revision):
		return arrived
	case p.away[at.cluster] || lacksKey(work):
		return owed
	case there && !should && onlyLeaving(work):
		return pending // however long finalizers and pods that end in peace take
	case should && (suspension(work) != "" || work.Spec.Granted != g.revision && stands(p.rollouts[g.bundle])):
		return held
	case there && work.Spec.Granted != g.revisionIn(should):
		return pending // what is wrong there was so before
	case there && len(work.Status.Problems) > 0:
		return failing
	case there && work.Status.Health == v1alpha1.HealthFailed && work.Status.Applied == g.revision:
		return failing
	}
	return pending
}

// onlyLeaving says that nothing is wrong but that objects which should go are still there.
func onlyLeaving(w v1alpha1.Work) bool {
	return !slices.ContainsFunc(w.Status.Problems, func(p v1alpha1.Problem) bool { return p.Reason != "PruneFailed" })
}

// lacksKey says that a secret is owed to a cluster that cannot open it yet.
func lacksKey(w v1alpha1.Work) bool {
	c := meta.FindStatusCondition(w.Status.Conditions, v1alpha1.ConditionReady)
	return c != nil && c.Reason == v1alpha1.ReasonNoKey
}

func runs(w v1alpha1.Work, revision string) bool {
	return w.Spec.Granted == revision && w.Status.Applied == revision && w.Status.Health == v1alpha1.HealthReady
}

// stands says that a rollout grants nothing more before a person says how to go on; who has said so since is heard.
func stands(r v1alpha1.Rollout) bool {
	switch r.Status.Phase {
	case v1alpha1.RolloutFailed:
		return r.Status.Back == "" && r.Stopped() // or else it is about to be taken back
	case v1alpha1.RolloutRolledBack:
		return r.Stopped()
	case v1alpha1.RolloutAborted:
		return r.Spec.Orders.Aborted
	}
	return false
}

// suspension says since when and by whom a bundle is suspended where it is; empty when it is not.
func suspension(w v1alpha1.Work) string {
	for _, c := range w.Status.Conditions {
		if c.Type == v1alpha1.ConditionReady && c.Reason == v1alpha1.ReasonSuspended {
			return c.Message
		}
	}
	return ""
}

// over says whether there is nothing more to wait for.
func over(all []standing, now time.Time) bool {
	return !slices.ContainsFunc(all, func(s standing) bool {
		return s.state == pending || (s.state == failing || s.state == owed && lacksKey(s.work)) && now.Sub(s.at) < settled
	})
}

// superseded returns the name of a newer revision that a cluster is to run instead, if there is one.
func (p *progress) superseded() string {
	for _, g := range p.goals {
		for at, w := range p.works {
			if at.bundle == g.bundle && newer(w.Spec.Wanted, g.revision) {
				return w.Spec.Wanted
			}
		}
	}
	return ""
}

// newer compares revisions of one bundle by the generations at the ends of their names.
func newer(a, b string) bool {
	bundleA, generationA := cutLast(a)
	bundleB, generationB := cutLast(b)
	return bundleA == bundleB && generationA > generationB
}

func cutLast(revision string) (bundle string, generation int) {
	i := strings.LastIndexByte(revision, '-')
	if i < 0 {
		return revision, 0
	}
	generation, _ = strconv.Atoi(revision[i+1:])
	return revision[:i], generation
}

// wanted says whether a bundle should be in that place, or should have left it.
func (p *progress) wanted(at place) bool {
	return slices.ContainsFunc(p.goals, func(g goal) bool { return g.bundle == at.bundle && slices.Contains(g.clusters, at.cluster) })
}

// unfinished are the places that keep a wait from being a success.
func unfinished(all []standing) []standing {
	return slices.DeleteFunc(slices.Clone(all), func(s standing) bool {
		return s.state == arrived || s.state == withdrawn || s.state == owed
	})
}

// trouble says in a few lines what is wrong in the places that are not done: each cluster for itself.
func trouble(all []standing) []hint {
	const few = 8
	var lines []hint
	for _, s := range all {
		if len(s.work.Status.Problems) == 0 || s.state == held {
			lines = append(lines, hint{words: s.cluster + ": " + soFar(s)})
			continue
		}
		for _, p := range s.work.Status.Problems {
			lines = append(lines, hint{words: s.cluster + ": " + plan.Name(p.ObjectRef) + ": " + inWords(p.Reason) + ": " + p.Message})
		}
	}
	if rest := len(lines) - few; rest > 0 {
		lines = append(lines[:few], hint{words: "and " + strconv.Itoa(rest) + " more"})
	}
	return lines
}

// soFar: 3 of 5 objects healthy.
func soFar(s standing) string {
	w := s.work
	switch {
	case suspension(w) != "":
		return suspension(w)
	case s.state == held:
		return "not granted"
	case w.Spec.Granted != w.Spec.Wanted && w.Spec.Wanted != "":
		return "not granted yet"
	case w.Status.Objects == 0:
		return "nothing reported yet"
	}
	return strconv.Itoa(int(w.Status.ReadyObjects)) + " of " + strconv.Itoa(int(w.Status.Objects)) + " objects healthy"
}
