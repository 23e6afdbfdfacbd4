package apiserver

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metainternal "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/warning"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/apiserver/kvstorage"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// computedREST serves a computed kind. It is read-only, and its resourceVersions are this member's own.
type computedREST struct {
	facade
	table
	log    *computedLog
	state  *kvstorage.Storage // of what the kind is computed from
	timing kvstorage.Timing
}

var (
	_ rest.Getter  = (*computedREST)(nil)
	_ rest.Lister  = (*computedREST)(nil)
	_ rest.Watcher = (*computedREST)(nil)
)

func (r *computedREST) New() runtime.Object     { return r.kind.new() }
func (r *computedREST) NewList() runtime.Object { return r.kind.newList() }
func (r *computedREST) Destroy()                {}
func (r *computedREST) NamespaceScoped() bool   { return false }

// Get implements rest.Getter.
func (r *computedREST) Get(ctx context.Context, name string, opts *metav1.GetOptions) (runtime.Object, error) {
	if opts == nil {
		opts = &metav1.GetOptions{}
	}
	v, err := r.notOlderThan(ctx, opts.ResourceVersion)
	if err != nil {
		return nil, err
	}
	if o, ok := r.log.get(name); ok {
		return o, nil
	}
	if err := r.state.Missing(v, name); err != nil {
		return nil, err
	}
	return nil, apierrors.NewNotFound(v1alpha1.Resource(r.kind.plural), name)
}

// notOlderThan waits until the kind is computed from a state that a resourceVersion asks for: "" all that was acknowledged,
// "0" whatever is here, else a version that this member gave out.
func (r *computedREST) notOlderThan(ctx context.Context, resourceVersion string) (kvstorage.Sight, error) {
	v, err := r.state.State(ctx, resourceVersion == "")
	if err != nil {
		return v, err
	}
	needed := store.Revision(1)
	if resourceVersion == "" {
		needed = v.Revision()
	}
	bounded, cancel := context.WithTimeout(ctx, r.timing.Behind)
	defer cancel()
	switch of := r.log.kind.Reach(bounded, needed); {
	case of == 0:
		return v, apierrors.NewServiceUnavailable("this member has not computed " + r.kind.plural + " yet; ask again in a moment, or another member")
	case of < needed:
		warning.AddWarning(ctx, "", fmt.Sprintf("%s are as of revision %d; the fleet is at %d", r.kind.plural, of, needed))
	}
	if resourceVersion != "" && resourceVersion != "0" {
		return v, r.known(resourceVersion, r.log.gave)
	}
	return v, nil
}

// known refuses a version that this member does not know.
func (r *computedREST) known(resourceVersion string, by func(uint64) bool) error {
	version, err := strconv.ParseUint(resourceVersion, 10, 64)
	if err != nil {
		return apierrors.NewBadRequest(fmt.Sprintf("resourceVersion %q is no number", resourceVersion))
	}
	if !by(version) {
		return apierrors.NewResourceExpired(r.expired())
	}
	return nil
}

// List implements rest.Lister. There are no pages: a continue token is refused as expired, and so is a version of the past
// that is to be matched exactly.
func (r *computedREST) List(ctx context.Context, opts *metainternal.ListOptions) (runtime.Object, error) {
	if opts == nil {
		opts = &metainternal.ListOptions{}
	}
	if opts.Continue != "" {
		return nil, apierrors.NewResourceExpired(r.kind.plural + " are listed whole; list again without continue")
	}
	if _, err := r.notOlderThan(ctx, opts.ResourceVersion); err != nil {
		return nil, err
	}
	items, version := r.log.list(r.selection(opts))
	if opts.ResourceVersionMatch == metav1.ResourceVersionMatchExact && opts.ResourceVersion != strconv.FormatUint(version, 10) {
		return nil, apierrors.NewResourceExpired(r.kind.plural + " are not kept as they were; list again without resourceVersionMatch")
	}
	objects := make([]runtime.Object, 0, len(items))
	for _, o := range items {
		objects = append(objects, o)
	}
	list := r.kind.newList()
	m, err := meta.ListAccessor(list)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", r.kind.plural, err)
	}
	m.SetResourceVersion(strconv.FormatUint(version, 10))
	return list, meta.SetList(list, objects)
}

// selection is what the selectors of a request want.
func (r *computedREST) selection(opts *metainternal.ListOptions) func(Object) bool {
	label, field := labels.Everything(), fields.Everything()
	if opts.LabelSelector != nil {
		label = opts.LabelSelector
	}
	if opts.FieldSelector != nil {
		field = opts.FieldSelector
	}
	predicate := predicate(r.kind)(label, field)
	return func(o Object) bool {
		matches, err := predicate.Matches(o)
		return err == nil && matches
	}
}

// Watch implements rest.Watcher.
func (r *computedREST) Watch(ctx context.Context, opts *metainternal.ListOptions) (watch.Interface, error) {
	if opts == nil {
		opts = &metainternal.ListOptions{}
	}
	w := &computedWatch{rest: r, matches: r.selection(opts), bookmarks: opts.AllowWatchBookmarks,
		results: make(chan watch.Event, 16), done: make(chan struct{})}
	version, err := r.begin(ctx, opts.ResourceVersion)
	if err != nil {
		return nil, err
	}
	w.after = version
	streaming := opts.SendInitialEvents != nil && *opts.SendInitialEvents
	if streaming || opts.SendInitialEvents == nil && (opts.ResourceVersion == "" || opts.ResourceVersion == "0") {
		w.initial, w.after = r.log.list(w.matches)
	}
	w.marked = streaming && w.bookmarks
	ctx, w.cancel = context.WithCancel(ctx)
	go w.run(ctx)
	return w, nil
}

// begin is the version that a watch starts after. One that this member did not give out, or has forgotten the
// events after, is expired.
func (r *computedREST) begin(ctx context.Context, resourceVersion string) (uint64, error) {
	if resourceVersion == "" || resourceVersion == "0" {
		_, err := r.notOlderThan(ctx, resourceVersion)
		return r.log.now(), err
	}
	if err := r.known(resourceVersion, r.log.knows); err != nil {
		return 0, err
	}
	version, _ := strconv.ParseUint(resourceVersion, 10, 64) // known has read it
	return version, nil
}

func (r *computedREST) expired() string {
	return r.kind.plural + " are counted by the member that serves them, and this one does not know that resourceVersion; list again"
}

// computedWatch is one watch: a goroutine that looks when the kind changes and pushes no faster than the client reads.
type computedWatch struct {
	rest      *computedREST
	matches   func(Object) bool
	bookmarks bool
	marked    bool
	initial   []Object
	after     uint64

	results chan watch.Event
	cancel  context.CancelFunc
	done    chan struct{}
}

// ResultChan implements watch.Interface.
func (w *computedWatch) ResultChan() <-chan watch.Event { return w.results }

// Stop implements watch.Interface. When it returns, the watch's goroutine has ended.
func (w *computedWatch) Stop() {
	w.cancel()
	<-w.done
}

func (w *computedWatch) run(ctx context.Context) {
	defer close(w.done)
	defer close(w.results)
	defer w.cancel()
	err := w.stream(ctx)
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		s := status.Status()
		w.send(ctx, watch.Event{Type: watch.Error, Object: &s})
	}
}

func (w *computedWatch) stream(ctx context.Context) error {
	if err := w.sendInitial(ctx); err != nil {
		return err
	}
	bookmark := time.NewTicker(w.rest.timing.Bookmark)
	defer bookmark.Stop()
	for {
		changed := w.rest.log.kind.Changed()
		if err := w.sendNews(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		case <-bookmark.C:
			if err := w.sendBookmark(ctx, false); err != nil {
				return err
			}
		}
	}
}

func (w *computedWatch) sendInitial(ctx context.Context) error {
	for _, o := range w.initial {
		if err := w.send(ctx, watch.Event{Type: watch.Added, Object: o}); err != nil {
			return err
		}
	}
	if w.marked {
		return w.sendBookmark(ctx, true)
	}
	return nil
}

func (w *computedWatch) sendNews(ctx context.Context) error {
	events, version, ok := w.rest.log.after(w.after)
	if !ok {
		return apierrors.NewResourceExpired(w.rest.expired())
	}
	for _, e := range events {
		if seen, any := e.seen(w.matches); any {
			if err := w.send(ctx, seen); err != nil {
				return err
			}
		}
	}
	w.after = version
	return nil
}

func (w *computedWatch) sendBookmark(ctx context.Context, initialEnd bool) error {
	if !w.bookmarks {
		return nil
	}
	mark := w.rest.kind.new().(Object)
	mark.SetResourceVersion(strconv.FormatUint(w.after, 10))
	if initialEnd {
		if err := storage.AnnotateInitialEventsEndBookmark(mark); err != nil {
			return fmt.Errorf("make bookmark: %w", err)
		}
	}
	return w.send(ctx, watch.Event{Type: watch.Bookmark, Object: mark})
}

func (w *computedWatch) send(ctx context.Context, e watch.Event) error {
	select {
	case w.results <- e:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
