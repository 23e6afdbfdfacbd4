package apiserver

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metainternal "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// workREST serves the computed kind. It is read-only, and its resourceVersions are this member's own.
type workREST struct {
	facade
	table
	log      *workLog
	bookmark time.Duration
}

var (
	_ rest.Getter  = (*workREST)(nil)
	_ rest.Lister  = (*workREST)(nil)
	_ rest.Watcher = (*workREST)(nil)
)

func (r *workREST) New() runtime.Object     { return &v1alpha1.Work{} }
func (r *workREST) NewList() runtime.Object { return &v1alpha1.WorkList{} }
func (r *workREST) Destroy()                {}
func (r *workREST) NamespaceScoped() bool   { return false }

// Get implements rest.Getter.
func (r *workREST) Get(_ context.Context, name string, _ *metav1.GetOptions) (runtime.Object, error) {
	items, _ := r.log.list()
	for i := range items {
		if items[i].Name == name {
			return &items[i], nil
		}
	}
	return nil, apierrors.NewNotFound(v1alpha1.Resource("works"), name)
}

// List implements rest.Lister. There are no pages: a continue token is refused as expired.
func (r *workREST) List(_ context.Context, opts *metainternal.ListOptions) (runtime.Object, error) {
	if opts != nil && opts.Continue != "" {
		return nil, apierrors.NewResourceExpired("works are listed whole; list again without continue")
	}
	matches := r.selection(opts)
	items, version := r.log.list()
	list := &v1alpha1.WorkList{Items: []v1alpha1.Work{}}
	list.ResourceVersion = strconv.FormatUint(version, 10)
	for _, w := range items {
		if matches(&w) {
			list.Items = append(list.Items, w)
		}
	}
	return list, nil
}

// selection is what the selectors of a request want.
func (r *workREST) selection(opts *metainternal.ListOptions) func(*v1alpha1.Work) bool {
	label, field := labels.Everything(), fields.Everything()
	if opts != nil && opts.LabelSelector != nil {
		label = opts.LabelSelector
	}
	if opts != nil && opts.FieldSelector != nil {
		field = opts.FieldSelector
	}
	want := predicate(r.kind)(label, field)
	return func(w *v1alpha1.Work) bool {
		ok, err := want.Matches(w)
		return ok && err == nil
	}
}

// Watch implements rest.Watcher.
func (r *workREST) Watch(ctx context.Context, opts *metainternal.ListOptions) (watch.Interface, error) {
	if opts == nil {
		opts = &metainternal.ListOptions{}
	}
	w := &workWatch{rest: r, matches: r.selection(opts), bookmarks: opts.AllowWatchBookmarks,
		results: make(chan watch.Event, 16), done: make(chan struct{})}
	version, err := r.begin(opts.ResourceVersion)
	if err != nil {
		return nil, err
	}
	w.after = version
	streaming := opts.SendInitialEvents != nil && *opts.SendInitialEvents
	if streaming || opts.SendInitialEvents == nil && (opts.ResourceVersion == "" || opts.ResourceVersion == "0") {
		w.initial, w.after = r.log.list()
	}
	w.marked = streaming && w.bookmarks
	ctx, w.cancel = context.WithCancel(ctx)
	go w.run(ctx)
	return w, nil
}

// begin is the version that a watch starts after. One that this member did not give out, or has forgotten the
// events after, is expired.
func (r *workREST) begin(resourceVersion string) (uint64, error) {
	if resourceVersion == "" || resourceVersion == "0" {
		_, version := r.log.list()
		return version, nil
	}
	version, err := strconv.ParseUint(resourceVersion, 10, 64)
	if err != nil {
		return 0, apierrors.NewBadRequest(fmt.Sprintf("resourceVersion %q is no number", resourceVersion))
	}
	if !r.log.knows(version) {
		return 0, apierrors.NewResourceExpired(expiredWorks)
	}
	return version, nil
}

const expiredWorks = "works are counted by the member that serves them, and this one does not know that resourceVersion; list again"

// workWatch is one watch: a goroutine that looks when the works change and pushes no faster than the client reads.
type workWatch struct {
	rest      *workREST
	matches   func(*v1alpha1.Work) bool
	bookmarks bool
	marked    bool
	initial   []v1alpha1.Work
	after     uint64

	results chan watch.Event
	cancel  context.CancelFunc
	done    chan struct{}
}

// ResultChan implements watch.Interface.
func (w *workWatch) ResultChan() <-chan watch.Event { return w.results }

// Stop implements watch.Interface. When it returns, the watch's goroutine has ended.
func (w *workWatch) Stop() {
	w.cancel()
	<-w.done
}

func (w *workWatch) run(ctx context.Context) {
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

func (w *workWatch) stream(ctx context.Context) error {
	if err := w.sendInitial(ctx); err != nil {
		return err
	}
	bookmark := time.NewTicker(w.rest.bookmark)
	defer bookmark.Stop()
	for {
		changed := w.rest.log.works.Changed()
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

func (w *workWatch) sendInitial(ctx context.Context) error {
	for i := range w.initial {
		if !w.matches(&w.initial[i]) {
			continue
		}
		if err := w.send(ctx, watch.Event{Type: watch.Added, Object: &w.initial[i]}); err != nil {
			return err
		}
	}
	if w.marked {
		return w.sendBookmark(ctx, true)
	}
	return nil
}

func (w *workWatch) sendNews(ctx context.Context) error {
	events, version, ok := w.rest.log.after(w.after)
	if !ok {
		return apierrors.NewResourceExpired(expiredWorks)
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

func (w *workWatch) sendBookmark(ctx context.Context, initialEnd bool) error {
	if !w.bookmarks {
		return nil
	}
	mark := versioned(v1alpha1.Work{}, w.after)
	if initialEnd {
		if err := storage.AnnotateInitialEventsEndBookmark(&mark); err != nil {
			return fmt.Errorf("make bookmark: %w", err)
		}
	}
	return w.send(ctx, watch.Event{Type: watch.Bookmark, Object: &mark})
}

func (w *workWatch) send(ctx context.Context, e watch.Event) error {
	select {
	case w.results <- e:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
