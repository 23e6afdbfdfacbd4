package drill

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"

	"github.com/hanse-fleet/hanse/chaos/testbed"
)

// seen takes the events of one watcher, and whoever waits for them.
type seen struct {
	mu  sync.Mutex
	all Chronicle
	err error
}

func (s *seen) add(h Happening) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, h)
}

// fail ends what is seen, by the first error.
func (s *seen) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = cmp.Or(s.err, err)
}

// until is all that was seen once a revision was reached.
func (s *seen) until(t *testing.T, end uint64) Chronicle {
	t.Helper()
	until(t, 2*time.Minute, func(context.Context) error { return s.reached(end) })
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all
}

func (s *seen) reached(end uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	if len(s.all) == 0 || s.all[len(s.all)-1].Revision < end {
		return fmt.Errorf("%d events, not until %d", len(s.all), end)
	}
	return nil
}

// happening is an event of a watch. Bookmarks and errors are none.
func happening(e watch.Event) (Happening, error) {
	o, err := meta.Accessor(e.Object)
	if err != nil {
		return Happening{}, fmt.Errorf("event %s of %T: %w", e.Type, e.Object, err)
	}
	revision, err := strconv.ParseUint(o.GetResourceVersion(), 10, 64)
	return Happening{Type: e.Type, Name: o.GetName(), Revision: revision}, err
}

// bundles is a client of a fleet's bundles.
func bundles(t testing.TB, config *rest.Config) dynamic.ResourceInterface {
	t.Helper()
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client.Resource(kind("bundles"))
}

// aggregated is how a controller in a cluster reaches the fleet: by that cluster's API.
func (f *field) aggregated(t testing.TB, cluster string) *rest.Config {
	t.Helper()
	config, err := f.cluster(t, cluster).REST()
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1
	return config
}

// record writes down, at a member, all that happens to bundles from now on. There are none yet.
func (f *field) record(t *testing.T, member string) *seen {
	t.Helper()
	all, err := metadata.NewForConfig(f.seat(t, member).rest())
	if err != nil {
		t.Fatal(err)
	}
	client := all.Resource(kind("bundles"))
	list, err := client.List(t.Context(), metav1.ListOptions{})
	if err == nil && len(list.Items) > 0 {
		err = fmt.Errorf("%d bundles are there", len(list.Items))
	}
	if err != nil {
		t.Fatal(err)
	}
	s := new(seen)
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() { s.fail(s.follow(ctx, client, list.GetResourceVersion())) })
	t.Cleanup(func() { cancel(); group.Wait() })
	return s
}

// follow watches after a revision, and again when the watch ends in its time.
func (s *seen) follow(ctx context.Context, client metadata.ResourceInterface, after string) error {
	for {
		w, err := client.Watch(ctx, metav1.ListOptions{ResourceVersion: after})
		if err != nil {
			return err
		}
		for e := range w.ResultChan() {
			h, err := happening(e)
			if err != nil {
				w.Stop()
				return err
			}
			s.add(h)
			after = strconv.FormatUint(h.Revision, 10)
		}
	}
}

// kubectlWatches is `kubectl get --watch` with a cluster's own kubeconfig, until the test ends. There is one bundle.
func (f *field) kubectlWatches(t *testing.T, cluster string) *seen {
	t.Helper()
	kubernetes, err := testbed.FindBinaries()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, kubernetes.Path(testbed.Kubectl), "--kubeconfig", f.cluster(t, cluster).Kubeconfig(),
		"get", "bundles", "--watch", "--output-watch-events", "-o", `jsonpath={.type} {.object.metadata.name} {.object.metadata.resourceVersion}{"\n"}`)
	cmd.Env = ownEnv()
	var talk strings.Builder
	cmd.Stderr = &talk
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	s := new(seen)
	var group sync.WaitGroup
	group.Go(func() {
		s.fail(s.readLines(bufio.NewScanner(out)))
		s.fail(fmt.Errorf("kubectl get --watch ended: %w\n%s", cmp.Or(cmd.Wait(), errors.New("by itself")), talk.String()))
	})
	t.Cleanup(func() { cancel(); group.Wait() })
	s.until(t, 1) // it has listed what there is
	return s
}

func (s *seen) readLines(lines *bufio.Scanner) error {
	for lines.Scan() {
		var h Happening
		if _, err := fmt.Sscan(lines.Text(), &h.Type, &h.Name, &h.Revision); err != nil {
			return fmt.Errorf("kubectl says %q: %w", lines.Text(), err)
		}
		s.add(h)
	}
	return lines.Err()
}

// informer is a shared informer of client-go, with a work queue behind it, as controllers have them.
type informer struct {
	mu        sync.Mutex
	sightings []Sighting
	expired   int // how often it was told that the history is passed
	// handed are the events that came out of the informer, in order, but those that say again what was known.
	handed Chronicle
	// done is what the workers saw last of each object, 0 when it was gone.
	done  map[string]uint64
	store cache.Store
	queue workqueue.TypedRateLimitingInterface[string]
}

// informer is one in a cluster, which reaches the cluster's API by a line.
func (f *field) informer(t *testing.T, cluster string, by *line) *informer {
	t.Helper()
	config := f.aggregated(t, cluster)
	config.Dial = by.dial
	n := &informer{done: map[string]uint64{}, queue: workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[string]())}
	shared := cache.NewSharedIndexInformer(n.observed(bundles(t, config)), &unstructured.Unstructured{}, 0, cache.Indexers{})
	n.store = shared.GetStore()
	if _, err := shared.AddEventHandler(n.handler()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() { shared.RunWithContext(ctx) })
	for range 2 {
		group.Go(n.work)
	}
	t.Cleanup(func() { cancel(); n.queue.ShutDown(); group.Wait() })
	if !cache.WaitForCacheSync(ctx.Done(), shared.HasSynced) {
		t.Fatal("the informer does not begin")
	}
	return n
}

// observed is a client whose answers are written down before they are handed on.
func (n *informer) observed(client dynamic.ResourceInterface) *cache.ListWatch {
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			list, err := client.List(ctx, o)
			if err != nil {
				return nil, err
			}
			return list, n.listed(list)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			w, err := client.Watch(ctx, o)
			if err != nil {
				return nil, err
			}
			at, err := n.begin(o)
			if err != nil {
				w.Stop()
				return nil, err
			}
			return watch.Filter(w, func(e watch.Event) (watch.Event, bool) { n.told(at, e); return e, true }), nil
		},
	}
}

// listed writes a list down. Only whole ones are asked for here: the fleet is small enough.
func (n *informer) listed(list *unstructured.UnstructuredList) error {
	revision, err := strconv.ParseUint(list.GetResourceVersion(), 10, 64)
	if err != nil {
		return err
	}
	s := Sighting{From: revision, Listed: map[string]uint64{}}
	for _, o := range list.Items {
		h, err := happening(watch.Event{Object: &o})
		if err != nil {
			return err
		}
		s.Listed[h.Name] = h.Revision
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sightings = append(n.sightings, s)
	return nil
}

// begin writes down that a watch begins, and returns its place among the sightings. One that sends what there is first
// has no revision before that is over.
func (n *informer) begin(o metav1.ListOptions) (at int, err error) {
	var s Sighting
	if o.SendInitialEvents != nil && *o.SendInitialEvents {
		s.Listed = map[string]uint64{}
	} else if s.From, err = strconv.ParseUint(o.ResourceVersion, 10, 64); err != nil {
		return 0, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sightings = append(n.sightings, s)
	return len(n.sightings) - 1, nil
}

func (n *informer) told(at int, e watch.Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if e.Type == watch.Error {
		if apierrors.IsResourceExpired(apierrors.FromObject(e.Object)) {
			n.expired++
		}
		return
	}
	h, err := happening(e)
	if err != nil {
		panic(err) // client-go has decoded it
	}
	s := &n.sightings[at]
	switch {
	case s.Listed != nil && s.From == 0 && e.Type == watch.Bookmark:
		s.From = h.Revision // what there was has been sent
	case s.Listed != nil && s.From == 0:
		s.Listed[h.Name] = h.Revision
		return
	case e.Type != watch.Bookmark:
		s.Seen = append(s.Seen, h)
	}
	s.Told = h.Revision
}

func (n *informer) handler() cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{
		AddFunc: func(o any) { n.hand(watch.Added, o) },
		UpdateFunc: func(old, o any) {
			if old.(*unstructured.Unstructured).GetResourceVersion() != o.(*unstructured.Unstructured).GetResourceVersion() {
				n.hand(watch.Modified, o)
			}
		},
		DeleteFunc: func(o any) { n.hand(watch.Deleted, o) },
	}
}

// hand is what a controller does when it is told: it puts the name into its queue. The revision of a deletion that nobody
// saw is not known.
func (n *informer) hand(what watch.EventType, o any) {
	if unseen, ok := o.(cache.DeletedFinalStateUnknown); ok {
		n.note(Happening{Type: what, Name: unseen.Key})
		return
	}
	h, err := happening(watch.Event{Type: what, Object: o.(runtime.Object)})
	if err != nil {
		panic(err) // it was written down before
	}
	n.note(h)
}

func (n *informer) note(h Happening) {
	n.mu.Lock()
	n.handed = append(n.handed, h)
	n.mu.Unlock()
	n.queue.Add(h.Name)
}

// work is a controller's worker: it looks at what there is now.
func (n *informer) work() {
	for {
		name, stop := n.queue.Get()
		if stop {
			return
		}
		var revision uint64
		if o, there, _ := n.store.GetByKey(name); there {
			revision, _ = strconv.ParseUint(o.(*unstructured.Unstructured).GetResourceVersion(), 10, 64)
		}
		n.mu.Lock()
		n.done[name] = revision
		n.mu.Unlock()
		n.queue.Done(name)
	}
}

// confirm waits until the informer knows the last event, and holds what it was told, and what it told, against the chronicle.
func (n *informer) confirm(t *testing.T, whole Chronicle) {
	end := whole[len(whole)-1].Revision
	until(t, 2*time.Minute, func(context.Context) error {
		n.mu.Lock()
		defer n.mu.Unlock()
		if s := n.sightings[len(n.sightings)-1]; max(s.From, s.Told) < end {
			return fmt.Errorf("it knows what happened until %d, not until %d", max(s.From, s.Told), end)
		}
		return nil
	})
	n.mu.Lock()
	defer n.mu.Unlock()
	lists, told := 0, 0
	for _, s := range n.sightings {
		told += len(s.Seen)
		if s.Listed != nil {
			lists++
		}
	}
	t.Logf("%d lists, %d watches, of which %d were expired, and told %d of %d events", lists, len(n.sightings), n.expired, told, len(whole))
	if err := whole.Confirm(n.sightings); err != nil {
		t.Error(err)
	}
	if n.expired == 0 && *changes > roundOf {
		t.Error("no watch was answered 410: the history was not passed")
	}
}

// drained waits until the workers have nothing to do, and compares what they saw last with the end.
func (n *informer) drained(t *testing.T, end map[string]uint64) {
	took := until(t, 3*time.Minute, func(context.Context) error {
		n.mu.Lock()
		defer n.mu.Unlock()
		there := map[string]uint64{}
		for name, revision := range n.done {
			if revision != 0 {
				there[name] = revision
			}
		}
		return same(end, there)
	})
	n.mu.Lock()
	defer n.mu.Unlock()
	last := map[string]uint64{}
	for _, h := range n.handed {
		if h.Type != watch.Deleted && h.Revision <= last[h.Name] {
			t.Errorf("%s is handed on after revision %d", h, last[h.Name])
		}
		last[h.Name] = max(last[h.Name], h.Revision)
	}
	t.Logf("%d objects, the same after %s; %d events handed on", len(end), round(took), len(n.handed))
}
