package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"

	"github.com/hanse-fleet/hanse/chaos/drill"
	"github.com/hanse-fleet/hanse/chaos/testbed"
)

// site is one real cluster of a fleet, and its member, each in a region of its own. Both end with this process.
type site struct {
	name    string
	cluster *testbed.Cluster
	member  *drill.Daemon
	client  *kubernetes.Clientset
}

// sites are a fleet of real clusters. Changes go to all of them at once.
type sites []*site

func (s sites) close() {
	for _, one := range s {
		_ = one.member.Kill() // it may have been killed for a row
		_ = one.cluster.Close()
	}
}

// realClusters starts a fleet of so many.
func (b *bed) realClusters(ctx context.Context, name string, n int, o testbed.Options) (all sites, err error) {
	b.say("%d real clusters and their members start", n)
	ctx, cancel := context.WithTimeout(ctx, gathered)
	defer cancel()
	all = make(sites, n)
	starting, sctx := errgroup.WithContext(ctx)
	for i := range n {
		starting.Go(func() (err error) {
			all[i], err = b.startSite(sctx, filepath.Join(b.Dir, name), fmt.Sprintf("c%d", i+1), o)
			return err
		})
	}
	if err := starting.Wait(); err != nil {
		return nil, err // what has started ends with this process
	}
	var first *drill.Daemon
	for _, s := range all {
		err := enrol(ctx, s.member, first)
		if err == nil {
			err = s.start()
		}
		if err == nil {
			err = until(ctx, func() error { _, err := s.member.Status(ctx); return err })
		}
		if err != nil {
			all.close()
			return nil, fmt.Errorf("start the member of %s: %w", s.name, err)
		}
		if first == nil {
			first = s.member
		}
	}
	return all, until(ctx, func() error { return reaches(ctx, first, n) })
}

func (b *bed) startSite(ctx context.Context, dir, name string, o testbed.Options) (*site, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	o.Binaries, o.Tethered = b.Binaries, true
	cluster, err := testbed.StartCluster(ctx, filepath.Join(dir, "kubernetes-"+name), o)
	if err != nil {
		return nil, err
	}
	member, err := drill.NewDaemon(b.Hanse, dir, name, "region-"+name)
	if err != nil {
		return nil, err
	}
	config, err := cluster.REST()
	if err != nil {
		return nil, err
	}
	client, err := kubernetes.NewForConfig(config)
	return &site{name: name, cluster: cluster, member: member, client: client}, err
}

func (s *site) start() error { return s.member.Start("--kubeconfig", s.cluster.Kubeconfig()) }

// votersOf are how many of so many members vote.
func votersOf(members int) int {
	if members < 3 {
		return 1
	}
	return 3
}

// sight is when something was seen.
type sight func() (time.Time, error)

// follow waits for an event of a namespace's ConfigMaps, from now on, and keeps when it came.
func (s *site) follow(ctx context.Context, namespace string, is func(watch.EventType, *corev1.ConfigMap) bool) (sight, error) {
	list, err := s.client.CoreV1().ConfigMaps(namespace).List(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		return nil, err
	}
	w, err := s.client.CoreV1().ConfigMaps(namespace).Watch(ctx, metav1.ListOptions{ResourceVersion: list.ResourceVersion})
	if err != nil {
		return nil, err
	}
	return followed(ctx, w, is), nil
}

// seenIn bounds the wait for what a row watches for.
const seenIn = time.Minute

var errUnseen = errors.New("what was awaited did not come within a minute")

// followed waits for an event of a watch, and keeps when it came.
func followed[T runtime.Object](ctx context.Context, w watch.Interface, is func(watch.EventType, T) bool) sight {
	type result struct {
		at  time.Time
		err error
	}
	done := make(chan result, 1)
	go func() {
		defer w.Stop()
		at, err := awaitEvent(ctx, w.ResultChan(), is)
		done <- result{at, err}
	}()
	return func() (time.Time, error) { r := <-done; return r.at, r.err }
}

func awaitEvent[T runtime.Object](ctx context.Context, events <-chan watch.Event, is func(watch.EventType, T) bool) (time.Time, error) {
	late := time.After(seenIn)
	for {
		select {
		case e, open := <-events:
			c, ok := e.Object.(T)
			if !open || !ok {
				return time.Time{}, fmt.Errorf("a watch ended: %v", e.Object)
			}
			if is(e.Type, c) {
				return time.Now(), nil
			}
		case <-late:
			return time.Time{}, errUnseen
		case <-ctx.Done():
			return time.Time{}, ctx.Err()
		}
	}
}

// percentiles are rows of a distribution.
func percentiles(name string, took []time.Duration, p50, p99 *target) []Row {
	l := sorted(took)
	return []Row{
		newRow(name+", p50", inMilliseconds, []float64{l.at(0.5)}, nil, p50),
		newRow(name+", p99", inMilliseconds, []float64{l.at(0.99)}, nil, p99),
	}
}
