package apiserver

import (
	"maps"
	"slices"
	"strconv"
	"sync"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// maxWorkEvents is how many changes of works are remembered for watches that begin at an earlier list.
const maxWorkEvents = 8192

// workLog turns a list that changes into events. It looks at the list whenever someone asks, so it needs no
// goroutine of its own; between two looks only the difference counts.
type workLog struct {
	works Works

	mu      sync.Mutex
	version uint64
	items   map[string]v1alpha1.Work
	events  []workEvent // in order of version
	from    uint64      // the events after this version are all here
}

// workEvent is one change. The objects are shared: copy before changing.
type workEvent struct {
	version   uint64
	now, prev *v1alpha1.Work
}

func newWorkLog(w Works) *workLog { return &workLog{works: w} }

// look brings the log up to date.
func (l *workLog) look() {
	items, version := l.works.List()
	if l.items == nil {
		l.begin(items, version)
		return
	}
	if version <= l.version {
		return
	}
	l.version = version
	gone := maps.Clone(l.items)
	for _, w := range items {
		delete(gone, w.Name)
		l.put(w)
	}
	for _, name := range slices.Sorted(maps.Keys(gone)) {
		prev := gone[name]
		delete(l.items, name)
		l.add(workEvent{prev: &prev})
	}
	if extra := len(l.events) - maxWorkEvents; extra > 0 {
		l.from = l.events[extra-1].version
		l.events = slices.Clone(l.events[extra:])
	}
}

func (l *workLog) begin(items []v1alpha1.Work, version uint64) {
	l.items, l.version, l.from = map[string]v1alpha1.Work{}, version, version
	for _, w := range items {
		l.items[w.Name] = versioned(w, version)
	}
}

// put notes a work that is new or other than before.
func (l *workLog) put(w v1alpha1.Work) {
	prev, there := l.items[w.Name]
	w.ResourceVersion = prev.ResourceVersion
	if there && apiequality.Semantic.DeepEqual(w, prev) {
		return
	}
	now := versioned(w, l.version)
	l.items[w.Name] = now
	e := workEvent{now: &now}
	if there {
		e.prev = &prev
	}
	l.add(e)
}

func (l *workLog) add(e workEvent) {
	e.version = l.version
	l.events = append(l.events, e)
}

// list is every work by name, and the version of the list.
func (l *workLog) list() ([]v1alpha1.Work, uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.look()
	items := make([]v1alpha1.Work, 0, len(l.items))
	for _, name := range slices.Sorted(maps.Keys(l.items)) {
		w := l.items[name]
		items = append(items, *w.DeepCopy())
	}
	return items, l.version
}

// knows says whether a version is one that this log has given out and still has the events after.
func (l *workLog) knows(version uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.look()
	return version >= l.from && version <= l.version
}

// after is what changed after a version, and the version now; false when that is no longer known.
func (l *workLog) after(version uint64) ([]workEvent, uint64, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.look()
	if version < l.from {
		return nil, 0, false
	}
	i, _ := slices.BinarySearchFunc(l.events, version+1, func(e workEvent, v uint64) int {
		return int(min(max(int64(e.version)-int64(v), -1), 1))
	})
	return slices.Clone(l.events[i:]), l.version, true
}

func versioned(w v1alpha1.Work, version uint64) v1alpha1.Work {
	w.ResourceVersion = strconv.FormatUint(version, 10)
	return w
}

// seen is what an event means to someone who sees only the works that match.
func (e workEvent) seen(matches func(*v1alpha1.Work) bool) (watch.Event, bool) {
	now, before := e.now != nil && matches(e.now), e.prev != nil && matches(e.prev)
	switch {
	case now && before:
		return watch.Event{Type: watch.Modified, Object: e.now.DeepCopy()}, true
	case now:
		return watch.Event{Type: watch.Added, Object: e.now.DeepCopy()}, true
	case before:
		last := versioned(*e.prev, e.version)
		return watch.Event{Type: watch.Deleted, Object: last.DeepCopy()}, true
	}
	return watch.Event{}, false
}
