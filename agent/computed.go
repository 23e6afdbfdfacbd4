package agent

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/hanse-fleet/hanse/apiserver"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/internal/pause"
)

const (
	// unseenPause is the least time between two computations that nobody looks at. Times of transitions are those of the computation that found them, so as late
	// as its rest: a minute, in the largest fleets.
	unseenPause = time.Second
	// unseenShare bounds what they take of a processor: they rest so many times as long as they work, and unseenMost at most.
	unseenShare = 200
	unseenMost  = time.Minute
)

// computation finds the objects of a computed kind. It computes in one goroutine; its objects may be asked for from any.
type computation interface {
	// compute brings the objects up to a view, and says whether there is news of any.
	compute(v *store.View) (news bool, err error)
	// objects are all of them, in the order of their names, never to be changed again.
	objects() []apiserver.Object
}

// computed offers a computed kind to apiserver: computed anew when the log or what members say has changed, seldom while nobody looks.
type computed struct {
	core *Core
	kind string
	by   computation
	// pause is the least time between two computations, unless somebody asks for what is newer.
	pause time.Duration
	// remembers says that the objects rest on what they were before, so that they are computed while nobody looks, too.
	remembers bool

	mu sync.Mutex
	// items are the objects of a version, once somebody has looked at it.
	items   []apiserver.Object
	version uint64
	changed chan struct{}
	// of is the revision of the log that was computed from last; next closes when that is done again.
	of   store.Revision
	next chan struct{}
	// hurry ends the rest before the next computation, whatever it is for.
	hurry func()
	// looked says that somebody did since the last computation began, awaited that somebody may wait for changed to close.
	looked, awaited bool
	// owed closes when somebody looks while a computation is put off because nobody did; nil: none is.
	owed chan struct{}
}

func newComputed(c *Core, kind string, pause time.Duration, by computation, remembers bool) *computed {
	return &computed{
		core: c, kind: kind, by: by, pause: pause, remembers: remembers, version: uint64(time.Now().UnixNano()),
		changed: make(chan struct{}), next: make(chan struct{}),
	}
}

// computedKind makes one whose objects come from list, in the order of their names: for kinds with few.
func computedKind[T any, P interface {
	*T
	apiserver.Object
}](c *Core, kind string, pause time.Duration, list func(*store.View) ([]T, error)) *computed {
	return newComputed(c, kind, pause, &listed[T, P]{list: list}, false)
}

// listed computes all objects of a kind each time.
type listed[T any, P interface {
	*T
	apiserver.Object
}] struct {
	list func(*store.View) ([]T, error)
	mu   sync.Mutex
	last []T
}

func (l *listed[T, P]) compute(v *store.View) (news bool, err error) {
	next, err := l.list(v)
	if err != nil {
		return false, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	news = !equality.Semantic.DeepEqual(l.last, next)
	if news {
		l.last = next
	}
	return news, nil
}

func (l *listed[T, P]) objects() []apiserver.Object {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]apiserver.Object, len(l.last))
	for i := range l.last {
		all[i] = P(&l.last[i])
	}
	return all
}

// List implements apiserver.Computed.
func (k *computed) List() ([]apiserver.Object, uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.look()
	if k.items == nil {
		k.items = k.by.objects()
	}
	return k.items, k.version
}

// Changed implements apiserver.Computed.
func (k *computed) Changed() <-chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.look()
	k.awaited = true
	return k.changed
}

// look needs the lock.
func (k *computed) look() {
	k.looked = true
	k.core.reports.Look()
	if k.owed != nil {
		close(k.owed)
		k.owed = nil
	}
}

// Reach implements apiserver.Computed.
func (k *computed) Reach(ctx context.Context, rev store.Revision) store.Revision {
	for {
		of, next := k.ask(rev)
		if next == nil {
			return of
		}
		select {
		case <-next:
		case <-ctx.Done():
			return of
		}
	}
}

// ask is the revision that the items are of. If that is older than rev, or they would be newer had anybody looked, they are soon
// computed anew, and next closes then.
func (k *computed) ask(rev store.Revision) (of store.Revision, next <-chan struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	reached := k.of >= rev && k.owed == nil
	k.look()
	if reached {
		return k.of, nil
	}
	if k.hurry != nil {
		k.hurry()
	}
	return k.of, k.next
}

// follow computes until ctx ends.
func (k *computed) follow(ctx context.Context) error {
	for ctx.Err() == nil {
		begun := time.Now()
		rest, awake := k.begin(ctx)
		v := k.core.store.View()
		_, said, news := k.core.reports.Seen()
		if changed, err := k.by.compute(v); err != nil {
			k.core.log.Error("a kind cannot be computed", "kind", k.kind, "err", err)
		} else {
			k.put(changed, v.Revision())
		}
		worked := time.Since(begun)
		k.core.await(rest, decidesOn, v.Revision(), news)
		k.putOff(ctx, rest, worked, func() bool { return k.core.saysMore(v, said) })
		awake()
	}
	return nil
}

// putOff waits with the next computation, which is due: when somebody looks for the pause, or until rest ends, and as long as the work
// allows; else until somebody does, or, of what remembers, for a while, and longer when there is no news.
func (k *computed) putOff(ctx, rest context.Context, worked time.Duration, news func() bool) {
	owed := k.owe()
	if owed == nil {
		k.core.reports.Look()
		pause.For(rest, k.pause)
		breathe(ctx, worked)
		return
	}
	var late <-chan time.Time
	begun := time.Now()
	if k.remembers {
		ticker := time.NewTicker(unseenRest(worked))
		defer ticker.Stop()
		late = ticker.C
	}
	for {
		select {
		case <-late:
			if !news() && time.Since(begun) < unseenMost {
				continue
			}
		case <-owed:
		case <-ctx.Done():
		}
		return
	}
}

// saysMore says that the log decides otherwise since a view, or members say something else than they had.
func (c *Core) saysMore(since *store.View, said uint64) bool {
	_, now, _ := c.reports.Seen()
	return now != said || c.store.View().Written(decidesOn, since.Revision())
}

// unseenRest is how long a computation that took so long, and at which nobody looks, is not made again.
func unseenRest(worked time.Duration) time.Duration {
	return min(max(unseenShare*worked, unseenPause), unseenMost)
}

// owe says until when a computation may be put off because nobody looks; nil when somebody does.
func (k *computed) owe() <-chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.looked || k.awaited {
		return nil
	}
	k.owed = make(chan struct{})
	return k.owed
}

// begin begins a computation. It returns the context of the rest after it, which ends when somebody asks meanwhile for what
// is newer than the state that is taken now.
func (k *computed) begin(ctx context.Context) (context.Context, context.CancelFunc) {
	k.mu.Lock()
	defer k.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	k.hurry, k.looked, k.owed = cancel, false, nil
	return ctx, cancel
}

// put says that all was computed from the log at a revision, and shows it if there is news.
func (k *computed) put(news bool, of store.Revision) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.of = of
	close(k.next)
	k.next = make(chan struct{})
	if !news {
		return
	}
	k.items = nil
	k.version++
	close(k.changed)
	k.changed, k.awaited = make(chan struct{}), false
}
