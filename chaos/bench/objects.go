package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes/scheme"
	kube "k8s.io/client-go/rest"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

const (
	listed    = 1000 // objects in a list
	onlookers = 100
	changes   = 1000 // that each of them sees
	writers   = 16   // who make them
	askers    = 64   // who create or get at once
)

// objects measures the fleet's API beside the same kind on a kube-apiserver, as a client of Kubernetes sees both: over TLS,
// from objects to objects, with client-go.
func (b *bed) objects(ctx context.Context) (rows []Row, err error) {
	var planes []*plane
	defer func() {
		for _, p := range planes {
			p.close()
		}
	}()
	setUp, cancel := context.WithTimeout(ctx, 5*readyIn)
	defer cancel()
	for _, open := range []func() (*plane, error){
		func() (*plane, error) { return fleetPlane(setUp, b.folder("fleet"), b.Hanse) },
		func() (*plane, error) { return kubernetesPlane(setUp, b.folder("kubernetes"), b.APIServer, b.Etcd) },
	} {
		p, err := open()
		planes = append(planes, p)
		if err != nil {
			return nil, fmt.Errorf("start %s: %w", p, err)
		}
	}
	if err := fill(setUp, planes[0].config, planes[1].config); err != nil {
		return nil, fmt.Errorf("make what is listed: %w", err)
	}
	for _, m := range measurements {
		runs, err := inTurns(b, m.what, planes, func(p *plane) ([]float64, error) {
			figure, err := m.measure(b, ctx, p)
			return []float64{figure}, err
		})
		if err != nil {
			return rows, err
		}
		rows = append(rows, newRow(m.row, m.unit, runs[0][0], runs[0][1], m.goal))
	}
	return rows, nil
}

// measurement is one row, and how its figure comes about.
type measurement struct {
	what, row string
	unit      unit
	goal      *target
	measure   func(*bed, context.Context, *plane) (float64, error)
}

var measurements = []measurement{
	{"list", "list of 1,000 bundles, p50", inMilliseconds, atLeast(1), (*bed).list},
	{"get", "get a bundle, 1 client, p50", inMilliseconds, atLeast(1), asking(single, (*bed).getObject, middle)},
	{"get", "get a bundle, 64 clients", aSecond, atLeast(1), asking(askers, (*bed).getObject, load.perSecond)},
	{"watch", "100 watchers, 1,000 changes by 16 clients", eventsASecond, atLeast(1), (*bed).fanOut},
	{"create", "create a bundle, 1 client, p50", inMilliseconds, atLeast(1), asking(single, (*bed).createObject, middle)},
	{"create", "create bundles, 64 clients", aSecond, atLeast(1), asking(askers, (*bed).createObject, load.perSecond)},
	{"memory", "resident after all of this, one cluster's", inMiB, atLeast(2), (*bed).memory},
}

func middle(l load) float64 { return l.at(0.5) }

func (b *bed) folder(name string) string {
	dir := filepath.Join(b.Dir, name)
	_ = os.MkdirAll(dir, 0o700) // whoever writes there says what is wrong
	return dir
}

// bundle is an object of the size that a small application has.
func bundle(name string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": v1alpha1.SchemeGroupVersion.String(), "kind": "Bundle", "metadata": map[string]any{"name": name},
		"spec": map[string]any{"manifests": []any{map[string]any{
			"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": name, "namespace": "default"}, "data": map[string]any{"value": value},
		}}},
	}}
}

// unthrottled is a client of its own connection.
func unthrottled(c *kube.Config) (dynamic.ResourceInterface, error) {
	own := kube.CopyConfig(c)
	own.QPS = -1
	client, err := dynamic.NewForConfig(own)
	if err != nil {
		return nil, err
	}
	return client.Resource(bundles), nil
}

func listedName(i int) string { return fmt.Sprintf("listed-%04d", i) }

// fill makes what is listed: the same on both, with the status that our leader gives it.
func fill(ctx context.Context, ours, peers *kube.Config) error {
	us, err := unthrottled(ours)
	if err != nil {
		return err
	}
	peer, err := unthrottled(peers)
	if err != nil {
		return err
	}
	return each(ctx, listed, func(ctx context.Context, i int) error {
		if _, err := us.Create(ctx, bundle(listedName(i)), metav1.CreateOptions{}); err != nil {
			return err
		}
		made, err := peer.Create(ctx, bundle(listedName(i)), metav1.CreateOptions{})
		if err != nil {
			return err
		}
		return until(ctx, func() error {
			full, err := us.Get(ctx, listedName(i), metav1.GetOptions{})
			if err != nil {
				return err
			}
			if _, told, _ := unstructured.NestedSlice(full.Object, "status", "conditions"); !told {
				return fmt.Errorf("%s has no status yet", full.GetName()) // an empty one is there from the beginning
			}
			made.Object["status"] = full.Object["status"]
			_, err = peer.UpdateStatus(ctx, made, metav1.UpdateOptions{})
			return err
		})
	})
}

// each does something so many times, some of them at once.
func each(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(writers)
	for i := range n {
		g.Go(func() error { return do(ctx, i) })
	}
	return g.Wait()
}

// request is one of one client.
type request func(b *bed, ctx context.Context, client dynamic.ResourceInterface) error

func (b *bed) getObject(ctx context.Context, client dynamic.ResourceInterface) error {
	_, err := client.Get(ctx, listedName(rand.IntN(listed)), metav1.GetOptions{})
	return err
}

func (b *bed) createObject(ctx context.Context, client dynamic.ResourceInterface) error {
	_, err := client.Create(ctx, bundle(fmt.Sprintf("created-%d", b.serial.Add(1))), metav1.CreateOptions{})
	return err
}

// asking measures requests of so many clients.
func asking(clients int, do request, figure func(load) float64) func(*bed, context.Context, *plane) (float64, error) {
	return func(b *bed, ctx context.Context, p *plane) (float64, error) {
		var connections []dynamic.ResourceInterface
		for range (clients + perConnection - 1) / perConnection {
			c, err := unthrottled(p.config)
			if err != nil {
				return 0, err
			}
			connections = append(connections, c)
		}
		l := drive(ctx, clients, warm, b.Measured, func(ctx context.Context, client int) error { return do(b, ctx, connections[client/perConnection]) })
		if l.Failed > 0 {
			b.say("%s failed %d requests", p.name, l.Failed)
		}
		if len(l.Took) == 0 {
			return 0, fmt.Errorf("none of %d requests was answered", l.Failed)
		}
		return figure(l), ctx.Err()
	}
}

// list is timed until the objects are there, not only the answer.
func (b *bed) list(ctx context.Context, p *plane) (float64, error) {
	client, err := unthrottled(p.config)
	if err != nil {
		return 0, err
	}
	var took []time.Duration
	for begun := time.Now(); time.Since(begun) < b.Measured; {
		sent := time.Now()
		l, err := client.List(ctx, metav1.ListOptions{})
		if err != nil {
			return 0, err
		}
		if len(l.Items) < listed {
			return 0, fmt.Errorf("%d objects are listed", len(l.Items))
		}
		took = append(took, time.Since(sent))
	}
	slices.Sort(took)
	return middle(load{Took: took}), nil
}

// fanOut counts the events that reach watchers in a second, from the first change until everybody has seen the last.
func (b *bed) fanOut(ctx context.Context, p *plane) (float64, error) {
	client, err := unthrottled(p.config)
	if err != nil {
		return 0, err
	}
	now, err := client.List(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	watching, sctx := errgroup.WithContext(ctx)
	for range onlookers / 10 {
		own, err := raw(p.config)
		if err != nil {
			return 0, err
		}
		for range 10 {
			watching.Go(func() error { return seeChanges(sctx, own, now.GetResourceVersion()) })
		}
	}
	begun, run := time.Now(), b.serial.Add(1)
	err = each(sctx, changes, func(ctx context.Context, i int) error {
		patch := fmt.Appendf(nil, `{"metadata":{"annotations":{"bench":"%d"}}}`, run)
		_, err := client.Patch(ctx, listedName(i), types.MergePatchType, patch, metav1.PatchOptions{})
		return err
	})
	if err != nil {
		cancel()
	}
	if seen := watching.Wait(); err == nil {
		err = seen
	}
	return onlookers * changes / time.Since(begun).Seconds(), err
}

func raw(c *kube.Config) (*kube.RESTClient, error) {
	own := kube.CopyConfig(c)
	own.QPS, own.APIPath, own.GroupVersion, own.NegotiatedSerializer = -1, "/apis", &v1alpha1.SchemeGroupVersion, scheme.Codecs.WithoutConversion()
	return kube.RESTClientFor(own)
}

// seeChanges counts the lines of a watch, which are its events, and does not read them: what is measured is the server. A
// watch that the server ends, as it does with one that is slow, goes on where it was.
func seeChanges(ctx context.Context, client *kube.RESTClient, since string) error {
	for seen := 0; seen < changes; {
		last, n, err := seeSome(ctx, client, since, changes-seen)
		if err != nil {
			return err
		}
		if seen += n; n == 0 {
			continue
		}
		var event struct {
			Object unstructured.Unstructured `json:"object"`
		}
		if err := json.Unmarshal(last, &event); err != nil {
			return err
		}
		since = event.Object.GetResourceVersion()
	}
	return nil
}

// seeSome returns the last line of a watch, and how many there were.
func seeSome(ctx context.Context, client *kube.RESTClient, since string, most int) (last []byte, n int, err error) {
	stream, err := client.Get().Resource(bundles.Resource).Param("watch", "1").Param("resourceVersion", since).Stream(ctx)
	if err != nil {
		return nil, 0, err
	}
	defer stream.Close()
	lines := bufio.NewScanner(stream)
	lines.Buffer(nil, 1<<20)
	for n < most && lines.Scan() {
		n, last = n+1, lines.Bytes()
	}
	return last, n, ctx.Err()
}

// memory is that of what one cluster needs to answer.
func (b *bed) memory(_ context.Context, p *plane) (float64, error) {
	all := 0.0
	for _, pid := range p.resident {
		mib, err := residentMiB(pid)
		if err != nil {
			return 0, err
		}
		all += mib
	}
	return all, nil
}
