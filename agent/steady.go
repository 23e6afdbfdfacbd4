package agent

import (
	"maps"
	"slices"
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/apiserver"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/report"
)

// steadyWorks are works whose conditions keep the time of their last transition, as this member saw it. While nobody asks for a Work,
// there is only a row of what it is made from.
type steadyWorks struct {
	*works

	mu    sync.Mutex
	rows  map[pair]*row
	seen  map[string]report.Sighting // by cluster, as the rows were computed
	round uint64                     // counts computations
}

// row is a Work in short.
type row struct {
	entry
	ready metav1.ConditionStatus
	// since is the transition, in seconds since 1970; 0: nobody knows.
	since int64
	round uint64         // that found it last
	shown *v1alpha1.Work // nil: nobody asked
}

// compute implements computation. What this member sees for the first time was so when the cluster's member was heard.
func (w *steadyWorks) compute(v *store.View) (news bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.rows == nil {
		w.rows = map[pair]*row{}
	}
	w.round++
	found, seen, now := 0, w.core.sightings(v), seconds(metav1.NewTime(w.core.now()))
	err = w.each(v, seen, func(p pair, e entry, said report.Bundle) {
		found++
		r := w.rows[p]
		if r == nil || r.entry != e {
			news = true
			r = e.follow(r, e.ready(p, said), now)
			w.rows[p] = r
		}
		r.round = w.round
	})
	if err != nil {
		return false, err
	}
	w.seen = seen
	if found < len(w.rows) {
		news = true
		maps.DeleteFunc(w.rows, func(_ pair, r *row) bool { return r.round != w.round })
	}
	return news, nil
}

// follow is the row of an entry in place of the one that there was, if any.
func (e entry) follow(was *row, c metav1.Condition, now int64) *row {
	next := &row{entry: e, ready: c.Status, since: seconds(c.LastTransitionTime)}
	if was == nil || was.bundleUID != e.bundleUID || was.clusterUID != e.clusterUID {
		return next
	}
	if next.since = was.since; was.ready != c.Status {
		next.since = now
	}
	return next
}

// objects implements computation.
func (w *steadyWorks) objects() []apiserver.Object {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := make([]apiserver.Object, 0, len(w.rows))
	for p, r := range w.rows {
		if r.shown == nil {
			work := r.work(p, saidOf(w.seen[p.cluster], p.bundle))
			work.Status.Conditions[0].LastTransitionTime = timeOf(r.since)
			r.shown = &work
		}
		all = append(all, r.shown)
	}
	slices.SortFunc(all, func(a, b apiserver.Object) int { return strings.Compare(a.GetName(), b.GetName()) })
	return all
}
