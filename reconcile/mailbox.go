package reconcile

import (
	"maps"
	"sync"
	"time"
)

// mailbox is where others leave word for a bundle's goroutine. It keeps the newest grant and the set of objects that
// changed, so it never grows beyond the bundle. Safe for concurrent use.
type mailbox struct {
	bell chan struct{} // rings when something was left

	mu    sync.Mutex
	grant *Grant
	wants map[key]bool
	dirty map[key]time.Time
}

func newMailbox() *mailbox {
	return &mailbox{bell: make(chan struct{}, 1), dirty: map[key]time.Time{}}
}

func (m *mailbox) ring() {
	select {
	case m.bell <- struct{}{}:
	default:
	}
}

// leave hands over a newer grant.
func (m *mailbox) leave(g Grant) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.grant = &g
	m.ring()
}

// newer takes the grant that was left, if one was.
func (m *mailbox) newer() (Grant, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.grant == nil {
		return Grant{}, false
	}
	g := *m.grant
	m.grant = nil
	return g, true
}

// waiting says that a newer grant was left.
func (m *mailbox) waiting() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.grant != nil
}

// want sets the objects that the bundle is told of. What it was told of those before is kept.
func (m *mailbox) want(keys map[key]bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wants = keys
	maps.DeleteFunc(m.dirty, func(k key, _ time.Time) bool { return !keys[k] })
}

// touch tells that an object changed.
func (m *mailbox) touch(k key, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.wants[k] {
		return
	}
	if _, known := m.dirty[k]; !known {
		m.dirty[k] = now
	}
	m.ring()
}

// changed takes the objects that changed, with when that was first told.
func (m *mailbox) changed() map[key]time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := m.dirty
	m.dirty = map[key]time.Time{}
	return out
}
