package apiserver

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strconv"
	"sync"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/hanse-fleet/hanse/consensus/store"
)

// Object is what is served of a kind.
type Object interface {
	runtime.Object
	metav1.Object
}

// Computed is a kind that is computed, not stored. Its methods may be called from any goroutine and must not block, but for Reach.
type Computed interface {
	// List is every object, never to be changed again, without a resourceVersion; and a version that grows with each
	// change. It begins at the Unix nanoseconds of the member's start, so that no version of an earlier life or of
	// another member is taken for one of this.
	List() (items []Object, version uint64)
	// Changed is closed, or sent to, when List would answer something else than it did before the call.
	Changed() <-chan struct{}
	// Reach waits until List is of a state of the log that has the revision, or ctx ends, and returns the revision of the
	// state that it is of; 0: of none yet. It alone may block.
	Reach(ctx context.Context, rev store.Revision) store.Revision
}

// maxComputedEvents is how many changes of a kind are remembered for watches that begin at an earlier list.
const maxComputedEvents = 8192

// computedLog turns a list that changes into events. It looks at the list whenever someone asks, so it needs no
// goroutine of its own; between two looks only the difference counts.
type computedLog struct {
	kind Computed

	mu      sync.Mutex
	version uint64
	begun   uint64 // the first version
	items   map[string]versioned
	events  []computedEvent // in order of version
	from    uint64          // the events after this version are all here
}

// versioned is an object at one version of the list. The object is shared: show makes a copy.
type versioned struct {
	object Object
	at     uint64
}

// show is the object as people see it.
func (v versioned) show() Object {
	shown := v.object.DeepCopyObject().(Object)
	shown.SetResourceVersion(strconv.FormatUint(v.at, 10))
	return shown
}

// computedEvent is one change: what is now, and what was before. One of them may be absent.
type computedEvent struct {
	version   uint64
	now, prev *versioned
}

func newComputedLog(c Computed) *computedLog { return &computedLog{kind: c} }

// look brings the log up to date.
func (l *computedLog) look() {
	items, version := l.kind.List()
	if l.items == nil {
		l.begin(items, version)
		return
	}
	if version <= l.version {
		return
	}
	l.version = version
	for _, o := range items {
		l.put(o)
	}
	if len(l.items) > len(items) {
		l.drop(items)
	}
	if extra := len(l.events) - maxComputedEvents; extra > 0 {
		l.from = l.events[extra-1].version
		l.events = slices.Clone(l.events[extra:])
	}
}

func (l *computedLog) begin(items []Object, version uint64) {
	l.items, l.version, l.begun, l.from = map[string]versioned{}, version, version, version
	for _, o := range items {
		l.items[o.GetName()] = versioned{o, version}
	}
}

// drop notes the objects that are gone, in the order of their names.
func (l *computedLog) drop(left []Object) {
	gone := maps.Clone(l.items)
	for _, o := range left {
		delete(gone, o.GetName())
	}
	for _, name := range slices.Sorted(maps.Keys(gone)) {
		prev := gone[name]
		delete(l.items, name)
		l.add(computedEvent{prev: &prev})
	}
}

// put notes an object that is new or other than before.
func (l *computedLog) put(o Object) {
	prev, there := l.items[o.GetName()]
	if there && (o == prev.object || apiequality.Semantic.DeepEqual(o, prev.object)) {
		return
	}
	now := versioned{o, l.version}
	l.items[o.GetName()] = now
	e := computedEvent{now: &now}
	if there {
		e.prev = &prev
	}
	l.add(e)
}

func (l *computedLog) add(e computedEvent) {
	e.version = l.version
	l.events = append(l.events, e)
}

// list is every object that matches, by name, and the version of the list.
func (l *computedLog) list(matches func(Object) bool) ([]Object, uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.look()
	items := make([]Object, 0, len(l.items))
	for _, name := range slices.Sorted(maps.Keys(l.items)) {
		if v := l.items[name]; matches(v.object) {
			items = append(items, v.show())
		}
	}
	return items, l.version
}

// get is the object of a name, if there is one.
func (l *computedLog) get(name string) (Object, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.look()
	v, ok := l.items[name]
	if !ok {
		return nil, false
	}
	return v.show(), true
}

// knows says whether a version is one that this log has given out and still has the events after.
func (l *computedLog) knows(version uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.look()
	return version >= l.from && version <= l.version
}

// gave says whether this log has given out a version.
func (l *computedLog) gave(version uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.look()
	return version >= l.begun && version <= l.version
}

// now is the version of the list.
func (l *computedLog) now() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.look()
	return l.version
}

// after is what changed after a version, and the version now; false when that is no longer known.
func (l *computedLog) after(version uint64) ([]computedEvent, uint64, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.look()
	if version < l.from {
		return nil, 0, false
	}
	i, _ := slices.BinarySearchFunc(l.events, version+1, func(e computedEvent, v uint64) int { return cmp.Compare(e.version, v) })
	return slices.Clone(l.events[i:]), l.version, true
}

// seen is what an event means to someone who sees only the objects that match.
func (e computedEvent) seen(matches func(Object) bool) (watch.Event, bool) {
	now, before := e.now != nil && matches(e.now.object), e.prev != nil && matches(e.prev.object)
	switch {
	case now && before:
		return watch.Event{Type: watch.Modified, Object: e.now.show()}, true
	case now:
		return watch.Event{Type: watch.Added, Object: e.now.show()}, true
	case before:
		return watch.Event{Type: watch.Deleted, Object: versioned{e.prev.object, e.version}.show()}, true
	}
	return watch.Event{}, false
}
