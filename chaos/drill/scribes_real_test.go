package drill

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/internal/pause"
)

// scribes are people who make, change and delete bundles of their own, through every member, and remember what each was told.
type scribes struct {
	all  []*scribe
	left atomic.Int64 // changes that are still to be made
}

// scribe writes through one member. What it owns nobody else touches, but the leader, which says how it stands.
type scribe struct {
	name   string
	client dynamic.ResourceInterface
	chance *rand.Rand
	mine   []string
	made   int
	// acknowledged are the revisions that the member said it wrote, and gone how many deletions.
	acknowledged Chronicle
	gone         int
}

const (
	// atEach is how many people write through each member.
	atEach = 4
	// owns is how many bundles one has, about.
	owns = 20
	// bounded is how long one write may take; a member may be dead meanwhile.
	bounded = 10 * time.Second
)

func (f *field) scribes(t *testing.T) *scribes {
	t.Helper()
	all := new(scribes)
	for _, s := range f.seats {
		config := s.rest()
		config.Timeout = bounded
		client := bundles(t, config)
		for i := range atEach {
			n := uint64(len(all.all))
			all.all = append(all.all, &scribe{name: fmt.Sprintf("%s%d", s.name, i), client: client, chance: rand.New(rand.NewPCG(*seed, n))})
		}
	}
	return all
}

// write makes so many changes, and meanwhile what is to happen in their midst.
func (s *scribes) write(t *testing.T, n int, meanwhile func()) {
	t.Helper()
	begun := time.Now()
	s.left.Store(int64(n))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var group sync.WaitGroup
	defer group.Wait()
	half := make(chan struct{})
	var once sync.Once
	for _, p := range s.all {
		group.Go(func() {
			for ctx.Err() == nil {
				left := s.left.Add(-1)
				if left < int64(n/2) {
					once.Do(func() { close(half) })
				}
				if left < 0 {
					return
				}
				p.change(ctx)
			}
		})
	}
	<-half
	meanwhile()
	group.Wait()
	t.Logf("%d changes in %s", n, round(time.Since(begun)))
}

// change makes one change, however often it must be tried. A try that was not answered may have been heard.
func (s *scribe) change(ctx context.Context) {
	try := s.pick()
	for ctx.Err() == nil && !try(ctx) {
		pause.For(ctx, 100*time.Millisecond)
	}
}

// pick is the next thing to do; it is true when it is done.
func (s *scribe) pick() func(context.Context) bool {
	dice := s.chance.Float64()
	if len(s.mine) < owns/2 || dice < 0.2 && len(s.mine) < 2*owns {
		s.made++
		name := fmt.Sprintf("%s-%d", s.name, s.made)
		s.mine = append(s.mine, name)
		return func(ctx context.Context) bool { return s.create(ctx, name) }
	}
	i := s.chance.IntN(len(s.mine))
	name := s.mine[i]
	if dice > 0.8 {
		s.mine[i] = s.mine[len(s.mine)-1]
		s.mine = s.mine[:len(s.mine)-1]
		return func(ctx context.Context) bool { return s.delete(ctx, name) }
	}
	s.made++
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{"example.com/change":"%d"}}}`, s.made)
	return func(ctx context.Context) bool {
		return s.wrote(s.client.Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{}))
	}
}

func (s *scribe) create(ctx context.Context, name string) bool {
	made, err := s.client.Create(ctx, bundleNamed(name), metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) { // by a try that was not answered
		made, err = s.client.Get(ctx, name, metav1.GetOptions{})
	}
	return s.wrote(made, err)
}

func (s *scribe) delete(ctx context.Context, name string) bool {
	err := s.client.Delete(ctx, name, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return false
	}
	s.gone++
	return true
}

func (s *scribe) wrote(o *unstructured.Unstructured, err error) bool {
	if err != nil {
		return false
	}
	revision, err := strconv.ParseUint(o.GetResourceVersion(), 10, 64)
	if err != nil {
		return false
	}
	s.acknowledged = append(s.acknowledged, Happening{Name: o.GetName(), Revision: revision})
	return true
}

// begin makes one bundle and waits until nothing more happens to it, so that whoever begins to watch has something to show.
func begin(t *testing.T, client dynamic.ResourceInterface) {
	t.Helper()
	if _, err := client.Create(t.Context(), bundleNamed("the-beginning"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	settle(t, client)
}

// settle waits until the leader has said how each bundle stands, and returns the revision of the last one that it said.
func settle(t *testing.T, client dynamic.ResourceInterface) (last uint64) {
	t.Helper()
	until(t, 2*time.Minute, func(ctx context.Context) error {
		list, err := client.List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		last = 0
		for _, o := range list.Items {
			judged, _, _ := unstructured.NestedInt64(o.Object, "status", "observedGeneration")
			if judged != o.GetGeneration() {
				return fmt.Errorf("%s is at generation %d, and judged at %d", o.GetName(), o.GetGeneration(), judged)
			}
			last = max(last, revisionOf(t, &o))
		}
		return nil
	})
	return last
}

// finish makes one change more, after which nothing happens, and returns the revision of the last change.
func (s *scribes) finish(t *testing.T) (end uint64) {
	t.Helper()
	last := s.all[0]
	if !last.create(t.Context(), "the-end") {
		t.Fatal("the last change is not made")
	}
	return settle(t, last.client)
}

func revisionOf(t *testing.T, o *unstructured.Unstructured) uint64 {
	t.Helper()
	revision, err := strconv.ParseUint(o.GetResourceVersion(), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return revision
}

// bundleNamed is a bundle for no cluster.
func bundleNamed(name string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": v1alpha1.SchemeGroupVersion.String(), "kind": "Bundle", "metadata": map[string]any{"name": name}, "spec": map[string]any{},
	}}
}

// confirmed fails at the first acknowledged write that a chronicle does not have.
func (s *scribes) confirmed(whole Chronicle) error {
	written, deleted := map[string]map[uint64]bool{}, 0
	for _, h := range whole {
		if h.Type == "DELETED" {
			deleted++
			continue
		}
		if written[h.Name] == nil {
			written[h.Name] = map[uint64]bool{}
		}
		written[h.Name][h.Revision] = true
	}
	gone := 0
	for _, p := range s.all {
		gone += p.gone
		for _, h := range p.acknowledged {
			if !written[h.Name][h.Revision] {
				return fmt.Errorf("%s at revision %d is not there", h.Name, h.Revision)
			}
		}
	}
	if gone != deleted {
		return fmt.Errorf("%d deletions were acknowledged, and %d happened", gone, deleted)
	}
	return nil
}
