package apiserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// patience bounds how long a test waits for what should happen at once: the machine may be busy with other tests.
const patience = 2 * time.Minute

// next is the next event of a watch, bookmarks left out.
func next(t *testing.T, w watch.Interface) watch.Event {
	t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case e, ok := <-w.ResultChan():
			if !ok {
				t.Fatal("the watch ended")
			}
			if e.Type != watch.Bookmark {
				return e
			}
		case <-timeout:
			t.Fatal("no event")
		}
	}
}

func expect(t *testing.T, w watch.Interface, kind watch.EventType, name string) *unstructured.Unstructured {
	t.Helper()
	e := next(t, w)
	obj, ok := e.Object.(*unstructured.Unstructured)
	if !ok || e.Type != kind || obj.GetName() != name {
		t.Fatalf("got %s %v, want %s %s", e.Type, e.Object, kind, name)
	}
	return obj
}

func TestAWatchGoesOnFromAList(t *testing.T) {
	l := start(t, nil)
	bundles, ctx := client(t, l.local(), "bundles"), t.Context()
	create := func(name string) {
		t.Helper()
		if _, err := bundles.Create(ctx, bundle(name), metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	create("a")
	list, err := bundles.List(ctx, metav1.ListOptions{})
	if err != nil || len(list.Items) != 1 {
		t.Fatalf("list of %d: %v", len(list.Items), err)
	}
	create("b")
	w, err := bundles.Watch(ctx, metav1.ListOptions{ResourceVersion: list.GetResourceVersion()})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	expect(t, w, watch.Added, "b")
	if err := bundles.Delete(ctx, "a", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	gone := expect(t, w, watch.Deleted, "a")
	if gone.GetResourceVersion() != fmt.Sprint(l.View().Revision()) {
		t.Errorf("deleted at %s, the store is at %d", gone.GetResourceVersion(), l.View().Revision())
	}
}

func TestAWatchFromWhatIsForgottenIsExpired(t *testing.T) {
	l := start(t, nil)
	bundles, ctx := client(t, l.local(), "bundles"), t.Context()
	l.Compact(l.View().Revision() + 1)
	l.Put("/other", "again")
	w, err := bundles.Watch(ctx, metav1.ListOptions{ResourceVersion: "1"})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	if e := next(t, w); e.Type != watch.Error || !apierrors.IsResourceExpired(apierrors.FromObject(e.Object)) {
		t.Errorf("got %s %v", e.Type, e.Object)
	}
}

func TestAnInformerFollowsByWatchList(t *testing.T) {
	l := start(t, nil)
	bundles, ctx := client(t, l.user(t, "ann", v1alpha1.RoleAdmin), "bundles"), t.Context()
	if _, err := bundles.Create(ctx, bundle("before"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	lists := 0
	config := l.local()
	config.WrapTransport = func(next http.RoundTripper) http.RoundTripper {
		return roundTrip(func(r *http.Request) (*http.Response, error) {
			if r.URL.Query().Get("watch") == "" {
				lists++
			}
			return next.RoundTrip(r)
		})
	}
	d, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	informing, stop := context.WithCancel(ctx)
	informer := dynamicinformer.NewDynamicSharedInformerFactory(d, 0).ForResource(v1alpha1.SchemeGroupVersion.WithResource("bundles")).Informer()
	done := make(chan struct{})
	go func() { defer close(done); informer.Run(informing.Done()) }()
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		t.Fatal("never in sync")
	}
	if _, err := bundles.Create(ctx, bundle("after"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		if n := len(informer.GetStore().ListKeys()); n != 2 {
			return fmt.Errorf("the informer knows %d bundles", n)
		}
		return nil
	})
	stop()
	<-done
	if lists != 0 {
		t.Errorf("the informer listed %d times: the initial events by watch did not work", lists)
	}
}

// tableWatch is a watch of bundles in tables.
func tableWatch(t *testing.T, l *live, since string) *json.Decoder {
	t.Helper()
	c := l.local()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.Host+"/apis/fleet.hanse.dev/v1alpha1/bundles?watch=1&resourceVersion="+since, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "application/json;as=Table;g=meta.k8s.io;v=v1")
	answer, err := httpClient(t, c).Do(r)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%v %v", answer, err)
	}
	t.Cleanup(func() { answer.Body.Close() })
	return json.NewDecoder(answer.Body)
}

func TestEachWatchOfTablesIsToldTheColumnsOnceAndFirst(t *testing.T) {
	l := start(t, nil)
	const changes = 8
	since := l.View().Revision()
	for i := range changes {
		l.put(t, fmt.Sprintf("%sb%d", v1alpha1.KeyBundles, i), bundle(fmt.Sprintf("b%d", i)))
	}
	for first := range 3 { // the first finds nothing encoded; the others begin with what another was told later
		events := tableWatch(t, l, fmt.Sprint(since+store.Revision(first)))
		for i := first; i < changes; i++ {
			var e struct{ Object metav1.Table }
			if err := events.Decode(&e); err != nil {
				t.Fatal(err)
			}
			if columns := len(e.Object.ColumnDefinitions); (columns > 0) != (i == first) || len(e.Object.Rows) != 1 || e.Object.Rows[0].Cells[0] != fmt.Sprintf("b%d", i) {
				t.Errorf("event %d has %d columns and the rows %v", i, columns, e.Object.Rows)
			}
		}
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// eventually waits for the real world.
func eventually(t *testing.T, check func() error) {
	t.Helper()
	deadline := time.After(patience)
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-deadline:
			t.Fatal(err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func TestAWatchEndsWithItsUser(t *testing.T) {
	l := start(t, nil)
	users, ctx := client(t, l.local(), "users"), t.Context()
	for name, change := range map[string]func(string) error{
		"when it is deleted": func(user string) error { return users.Delete(ctx, user, metav1.DeleteOptions{}) },
		"when its role changes": func(user string) error {
			_, err := users.Patch(ctx, user, "application/merge-patch+json", []byte(`{"spec":{"role":"Viewer"}}`), metav1.PatchOptions{})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			person := fmt.Sprintf("ann-%d", len(name))
			w, err := client(t, l.user(t, person, v1alpha1.RoleOperator), "bundles").Watch(ctx, metav1.ListOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer w.Stop()
			if err := change(person); err != nil {
				t.Fatal(err)
			}
			select {
			case e, more := <-w.ResultChan():
				if more {
					t.Errorf("got %v", e)
				}
			case <-time.After(patience):
				t.Error("the watch goes on")
			}
		})
	}
}

func TestWorksAreComputed(t *testing.T) {
	l := start(t, nil)
	l.works.set(work("shop", "fra", "r1"), work("shop", "iad", ""))
	works, ctx := client(t, l.local(), "works"), t.Context()

	list, err := works.List(ctx, metav1.ListOptions{FieldSelector: "spec.cluster=iad"})
	if err != nil || len(list.Items) != 1 || list.Items[0].GetName() != "shop.iad" {
		t.Fatalf("list by cluster: %v %v", list, err)
	}
	w, err := works.Watch(ctx, metav1.ListOptions{ResourceVersion: list.GetResourceVersion()})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	l.works.set(work("shop", "fra", "r1"), work("shop", "iad", "r1"))
	expect(t, w, watch.Modified, "shop.iad")
	l.works.set(work("shop", "iad", "r1"))
	expect(t, w, watch.Deleted, "shop.fra")

	for _, unknown := range []string{"1", "99999999999999999999", fmt.Sprint(uint64(time.Now().Add(time.Hour).UnixNano()))} {
		_, err := works.Watch(ctx, metav1.ListOptions{ResourceVersion: unknown})
		if !apierrors.IsResourceExpired(err) && !apierrors.IsBadRequest(err) && !apierrors.IsInvalid(err) {
			t.Errorf("watch from %s, which another member counted: %v", unknown, err)
		}
	}
	if err := works.Delete(ctx, "shop.iad", metav1.DeleteOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("delete of what is computed: %v", err)
	}
	if _, err := works.List(ctx, metav1.ListOptions{FieldSelector: "spec.nothing=x"}); !apierrors.IsBadRequest(err) {
		t.Errorf("list by an unknown field: %v", err)
	}
}

func TestTheServerStopsWhileWatchedAndLeavesNothing(t *testing.T) {
	before := goleak.IgnoreCurrent()
	l := start(t, nil)
	for _, plural := range []string{"bundles", "works"} {
		for _, config := range []*rest.Config{l.local(), l.user(t, "ann-"+plural, v1alpha1.RoleViewer)} {
			w, err := client(t, config, plural).Watch(t.Context(), metav1.ListOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				for range w.ResultChan() { // until the server ends it
				}
			}()
			defer httpClient(t, config).CloseIdleConnections()
		}
	}
	began := time.Now()
	l.stop()
	if took := time.Since(began); took > stopTimeout/2 {
		t.Errorf("it took %s", took)
	}
	// What the clients keep is theirs.
	goleak.VerifyNone(t, before, goleak.IgnoreAnyFunction("net/http.(*http2clientConnReadLoop).run"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"),
		goleak.IgnoreAnyFunction("k8s.io/apimachinery/pkg/watch.(*StreamWatcher).receive"))
}

// warnings collects what the server warns of.
type warnings []string

func (w *warnings) HandleWarningHeader(_ int, _ string, text string) { *w = append(*w, text) }

func (w *warnings) taken(c *rest.Config) *rest.Config {
	c.WarningHandler = w
	return c
}

var errNotFound = errors.New("not found")

func find(all []string, part string) error {
	for _, s := range all {
		if strings.Contains(s, part) {
			return nil
		}
	}
	return fmt.Errorf("%w: %q in %q", errNotFound, part, all)
}
