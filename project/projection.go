package project

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"

	"github.com/hanse-fleet/hanse/internal/pause"
)

// projection keeps the objects of one kind. All of it belongs to one goroutine.
//
//	absent --(the kind is there)--> listed --(the watch ends)--> absent
//
// While listed it knows every object of the fleet, and passes over all of them when the fleet or an object changed.
type projection struct {
	standard
	config     Config
	client     dynamic.ResourceInterface
	namespaces dynamic.ResourceInterface
	install    func(context.Context) error
	logger     *slog.Logger
	retry      backoff

	fleet Fleet
	known bool
	wants map[string]want // see wanted
	lives map[string]live
	paces map[string]*pace
	// said are the objects that people were told of, by name, with what was said.
	said map[string]verb
	gone bool // the kind is not there, and the log says so
}

func (p *projection) run(ctx context.Context) {
	p.said, p.paces = map[string]verb{}, map[string]*pace{}
	for p.awaitFleet(ctx) {
		err := p.follow(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case apierrors.IsNotFound(err):
			p.absent(ctx)
		case err != nil:
			p.logger.Warn("projection waits", "err", err)
		default:
			continue // the watch ended, as watches do
		}
		if !pause.For(ctx, p.retry.next()) {
			return
		}
	}
}

// awaitFleet waits until there is a fleet to show; nothing is asked of the cluster before.
func (p *projection) awaitFleet(ctx context.Context) bool {
	for ctx.Err() == nil {
		changed := p.config.Source.Changed()
		if p.look(); p.known {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
	return false
}

// absent makes the kind when that is wished, and says once that it is not there.
func (p *projection) absent(ctx context.Context) {
	if err := p.install(ctx); err != nil {
		p.logger.Warn("definition not installed", "err", err)
	}
	if !p.gone {
		p.logger.Info("the cluster does not know the kind; it is looked for now and then")
	}
	p.gone = true
}

// look takes in the newest fleet. While none is known, the last one stays, for what the watch tells meanwhile: nothing is done by it.
func (p *projection) look() {
	f, known := p.config.Source.Current()
	if p.known = known; !known {
		return
	}
	if f.Epoch != p.fleet.Epoch || f.Revision != p.fleet.Revision {
		p.wants = nil
	}
	p.fleet = f
}

// wanted is what the fleet wants, by name. It is worked out once it is needed: in a cluster that does not know the kind, never.
func (p *projection) wanted() map[string]want {
	if p.wants == nil {
		p.wants = map[string]want{}
		for _, w := range p.want(p.fleet) {
			p.wants[w.name] = w
		}
	}
	return p.wants
}

// follow lists the kind and keeps it right until its watch ends (nil) or something fails.
func (p *projection) follow(ctx context.Context) error {
	list, err := p.list(ctx)
	if err != nil {
		return err
	}
	p.gone = false
	p.lives = map[string]live{}
	for i := range list.Items {
		p.saw(&list.Items[i])
	}
	if p.namespace != "" {
		p.labelNamespace(ctx)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w, err := p.client.Watch(ctx, metav1.ListOptions{LabelSelector: p.selector(), ResourceVersion: list.GetResourceVersion(), AllowWatchBookmarks: true})
	if err != nil {
		return fmt.Errorf("watch %s: %w", p.kind, err)
	}
	defer w.Stop()
	return p.tend(ctx, w.ResultChan())
}

func (p *projection) list(ctx context.Context) (*unstructured.UnstructuredList, error) {
	ctx, cancel := context.WithTimeout(ctx, p.config.Timing.Request)
	defer cancel()
	return p.client.List(ctx, metav1.ListOptions{LabelSelector: p.selector()})
}

func (p *projection) selector() string { return labelFleet + "=" + p.fleet.Name }

// tend passes over the objects whenever something changed, at a limited rate.
func (p *projection) tend(ctx context.Context, events <-chan watch.Event) error {
	for {
		changed := p.config.Source.Changed()
		p.look()
		due, err := p.pass(ctx)
		if err != nil {
			p.logger.Warn("projections not written", "err", err)
			due = min(due, p.retry.next())
		} else {
			p.retry.reset()
		}
		if !pause.For(ctx, p.config.Timing.Pause) {
			return nil
		}
		timer := time.NewTimer(due)
		select {
		case e, open := <-events:
			if !open {
				timer.Stop()
				return nil
			}
			if err := p.heed(e, events); err != nil {
				timer.Stop()
				return err
			}
		case <-changed:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// heed takes in an event, and those that wait behind it.
func (p *projection) heed(e watch.Event, more <-chan watch.Event) error {
	for {
		switch e.Type {
		case watch.Error:
			if err := apierrors.FromObject(e.Object); !apierrors.IsResourceExpired(err) && !apierrors.IsGone(err) {
				return fmt.Errorf("watch %s: %w", p.kind, err)
			}
			return nil // the channel closes next, and the kind is listed again
		case watch.Deleted:
			if u, ok := e.Object.(*unstructured.Unstructured); ok {
				delete(p.lives, u.GetName())
			}
		case watch.Added, watch.Modified:
			if u, ok := e.Object.(*unstructured.Unstructured); ok && !p.passed(u) {
				p.saw(u)
			}
		}
		select {
		case next, open := <-more:
			if !open {
				return nil
			}
			e = next
		default:
			return nil
		}
	}
}

// saw keeps what is needed of an object.
func (p *projection) saw(u *unstructured.Unstructured) {
	var w *want
	if found, ok := p.wanted()[u.GetName()]; ok {
		w = &found
	}
	p.lives[u.GetName()] = see(u, p.fleet.Name, w)
}

// passed says that an object was seen in a later version already: a watch tells late what was written here.
func (p *projection) passed(u *unstructured.Unstructured) bool {
	l, there := p.lives[u.GetName()]
	if !there || l.uid != u.GetUID() {
		return false
	}
	later, err := resourceversion.CompareResourceVersion(l.version, u.GetResourceVersion())
	return err == nil && later > 0
}

// pass does what is due about every object, and says when it must look again though nothing happens.
func (p *projection) pass(ctx context.Context) (time.Duration, error) {
	again := time.Hour
	if !p.known {
		return again, nil
	}
	names := map[string]bool{}
	for name := range p.wanted() {
		names[name] = true
	}
	for name := range p.lives {
		names[name] = true
	}
	var failed error
	for _, name := range slices.Sorted(maps.Keys(names)) {
		wait, err := p.settle(ctx, name)
		if ctx.Err() != nil {
			return again, nil
		}
		if err != nil {
			failed = err
		}
		if err != nil && !errors.As(err, new(apierrors.APIStatus)) {
			return again, err // kube-apiserver itself is away: the others would wait for nothing
		}
		if wait > 0 {
			again = min(again, wait)
		}
	}
	return again, failed
}

// settle does what is due about one object; wait is how long that is put off.
func (p *projection) settle(ctx context.Context, name string) (wait time.Duration, err error) {
	var w *want
	if found, ok := p.wanted()[name]; ok {
		w = &found
	}
	var l *live
	if found, ok := p.lives[name]; ok {
		l = &found
	}
	switch v := decide(p.fleet, w, l); v {
	case keep:
		delete(p.said, name)
	case foreign, newer, unsure:
		p.tell(name, v)
	case remove:
		return 0, p.remove(ctx, name, *l)
	case update:
		return 0, p.update(ctx, *w, *l)
	case create, repair:
		if wait := p.paceOf(name).wait(time.Now(), p.config.Timing); wait > 0 {
			return wait, nil
		}
		if v == create {
			return 0, p.create(ctx, *w)
		}
		p.logger.Info("a projection was changed by somebody; it is put right", "name", name)
		return 0, p.update(ctx, *w, *l)
	}
	return 0, nil
}

// tell says once why an object is left as it is.
func (p *projection) tell(name string, v verb) {
	if p.said[name] == v {
		return
	}
	p.said[name] = v
	switch v {
	case foreign:
		p.logger.Warn("an object of this name is there already and is not ours: it is left alone", "name", name)
		p.config.Left(p.kind, p.namespace, name)
	case newer:
		p.logger.Warn("the projection shows a later state of the fleet than this member has: it is left alone", "name", name)
	case unsure:
		p.logger.Warn("the fleet does not have what the projection shows, and nothing proves that it was removed: it is left; delete it if that is right", "name", name)
	}
}

// pace keeps a fight over an object from being a hot loop.
type pace struct {
	backoff backoff
	last    time.Time
}

func (p *projection) paceOf(name string) *pace {
	if p.paces[name] == nil {
		p.paces[name] = &pace{backoff: backoff{first: p.config.Timing.Pause, most: p.config.Timing.RetryMax}}
	}
	return p.paces[name]
}

// wait is how long the next repair is put off; zero counts as one that is made now. Peace, twice as long as the last
// wait, is forgotten to have been war.
func (p *pace) wait(now time.Time, t Timing) time.Duration {
	since := now.Sub(p.last)
	switch {
	case p.last.IsZero() || since > 2*max(p.backoff.wait, t.Pause):
		p.backoff.reset()
	case since < p.backoff.wait:
		return p.backoff.wait - since
	}
	p.last = now
	p.backoff.next()
	return 0
}
