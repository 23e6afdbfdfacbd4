package reconcile

import (
	"sync"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// tracker is what the watches saw last of each object that bears our label. Safe for concurrent use.
type tracker struct {
	mu   sync.Mutex
	seen map[schema.GroupKind]map[key]sighting
	// told is the version up to which the watch of a kind has told everything.
	told map[schema.GroupKind]string
}

func newTracker() *tracker {
	return &tracker{seen: map[schema.GroupKind]map[key]sighting{}, told: map[schema.GroupKind]string{}}
}

// get is the last sighting of an object, nil when it is not there, has lost our label, or its kind is not watched.
func (t *tracker) get(k key) *sighting {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, found := t.seen[k.GroupKind][k]
	if !found {
		return nil
	}
	return &s
}

// note keeps what an answer said of an object, until the watch tells it, too. Of a version that the watch is past, the watch knows better: the
// object may be gone since.
func (t *tracker) note(k key, s sighting) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if told, is := t.told[k.GroupKind]; is && (told == s.version || older(s.version, told)) {
		return
	}
	t.keep(k, s)
}

// put keeps what the watch told unless something newer is known; false means that it was old.
func (t *tracker) put(k key, s sighting) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.told[k.GroupKind] = s.version
	return t.keep(k, s)
}

func (t *tracker) keep(k key, s sighting) bool {
	of := t.seen[k.GroupKind]
	if of == nil {
		of = map[key]sighting{}
		t.seen[k.GroupKind] = of
	}
	if have, found := of[k]; found && older(s.version, have.version) {
		return false
	}
	of[k] = s
	return true
}

// drop forgets an object that was gone, or without our label, at a version; false means that it was seen later.
func (t *tracker) drop(k key, version string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.told[k.GroupKind] = version
	have, found := t.seen[k.GroupKind][k]
	if found && older(version, have.version) {
		return false
	}
	delete(t.seen[k.GroupKind], k)
	return true
}

// replace is a whole list of a kind at a version. It returns the objects whose sighting changed.
func (t *tracker) replace(gk schema.GroupKind, list map[key]sighting, version string) []key {
	t.mu.Lock()
	defer t.mu.Unlock()
	old := t.seen[gk]
	t.seen[gk], t.told[gk] = list, version
	var changed []key
	for k, s := range list {
		if have, found := old[k]; found && older(s.version, have.version) {
			list[k] = have
		} else if !found || have.version != s.version {
			changed = append(changed, k)
		}
	}
	for k, have := range old {
		if _, found := list[k]; found {
			continue
		}
		if older(version, have.version) {
			list[k] = have
		} else {
			changed = append(changed, k)
		}
	}
	return changed
}

// forget drops a kind that is no longer watched.
func (t *tracker) forget(gk schema.GroupKind) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.seen, gk)
	delete(t.told, gk)
}
