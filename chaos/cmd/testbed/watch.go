package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/hanse-fleet/hanse/chaos/testbed"
)

// The object by which the demo sees what happens in a cluster.
const (
	shopNamespace = "shop"
	shopSettings  = "shop-settings"
)

// sighting is one state of the settings, as a cluster's kube-apiserver told it.
type sighting struct {
	at   time.Time
	data map[string]string // nil: not there
}

// witness watches the settings in one cluster, for as long as its run goes on, over every death of the kube-apiserver.
type witness struct {
	cluster *testbed.Cluster
	client  *kubernetes.Clientset

	mu      sync.Mutex
	seen    []sighting
	watches bool          // the kube-apiserver tells us of changes now
	news    chan struct{} // closed and replaced at each change of the above
}

func newWitness(c *testbed.Cluster) (*witness, error) {
	config, err := c.REST()
	if err != nil {
		return nil, err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w", c.Name(), err)
	}
	return &witness{cluster: c, client: client, news: make(chan struct{})}, nil
}

// run ends with ctx.
func (w *witness) run(ctx context.Context) {
	retry := time.NewTicker(50 * time.Millisecond)
	defer retry.Stop()
	for {
		w.watch(ctx)
		w.change(func() { w.watches = false })
		select {
		case <-retry.C:
		case <-ctx.Done():
			return
		}
	}
}

// watch returns when the kube-apiserver no longer answers.
func (w *witness) watch(ctx context.Context) {
	settings := w.client.CoreV1().ConfigMaps(shopNamespace)
	only := metav1.ListOptions{FieldSelector: "metadata.name=" + shopSettings}
	list, err := settings.List(ctx, only)
	if err != nil {
		return
	}
	for i := range list.Items {
		w.see(&list.Items[i])
	}
	only.ResourceVersion = list.ResourceVersion
	changes, err := settings.Watch(ctx, only)
	if err != nil {
		return
	}
	defer changes.Stop()
	w.change(func() { w.watches = true })
	for event := range changes.ResultChan() {
		object, ok := event.Object.(*corev1.ConfigMap)
		switch {
		case !ok:
			return // an error: the watch is over
		case event.Type == "DELETED":
			w.see(nil)
		default:
			w.see(object)
		}
	}
}

func (w *witness) see(object *corev1.ConfigMap) {
	s := sighting{at: time.Now()}
	if object != nil {
		s.data = object.Data
	}
	w.change(func() { w.seen = append(w.seen, s) })
}

func (w *witness) change(what func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	what()
	close(w.news)
	w.news = make(chan struct{})
}

// ready waits until changes are told.
func (w *witness) ready(ctx context.Context) error {
	return w.wait(ctx, func() bool { return w.watches })
}

// sees waits for the first state that is as asked, of those that came at after or later.
func (w *witness) sees(ctx context.Context, after time.Time, as func(map[string]string) bool) (sighting, error) {
	var found sighting
	err := w.wait(ctx, func() bool {
		for _, s := range w.seen {
			if !s.at.Before(after) && s.data != nil && as(s.data) {
				found = s
				return true
			}
		}
		return false
	})
	return found, err
}

func (w *witness) wait(ctx context.Context, enough func() bool) error {
	for {
		w.mu.Lock()
		done, news := enough(), w.news
		w.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return fmt.Errorf("wait for %s/%s in %s: %w", shopNamespace, shopSettings, w.cluster.Name(), context.Cause(ctx))
		}
	}
}
