package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
)

const (
	// shards is how many ConfigMaps the heads of a cluster's inventories lie in. It never changes: a bundle's is found by its name.
	shards = 16
	// roomForLists is up to what size a shard takes heads that have the list in them, roomForHeads up to what size it takes any:
	// a ConfigMap has 1 MiB.
	roomForLists = 512 << 10
	roomForHeads = 960 << 10
	// writersAtOnce is how often a shard is read again because somebody else wrote it meanwhile.
	writersAtOnce = 5
)

// errFull means that a shard has no room for a head.
var errFull = errors.New("the ConfigMap has no room for more")

// heads keeps the heads of the inventories, many in one ConfigMap, a shard. All that is asked of a shard while it is being written goes into
// its next write. A head is replaced only where it is as whoever asks knows it, so that two writers of one exclude each other.
type heads struct {
	client         corev1client.ConfigMapInterface
	fleet, cluster string
	slots          slots
	// within is the session's context: a write is for several bundles, and outlives the one that asked first, but not the session.
	within context.Context
	// request bounds each request; zero: nothing does.
	request time.Duration
	of      [shards]shard
	running sync.WaitGroup
}

// shard is one of the ConfigMaps.
type shard struct {
	mu      sync.Mutex
	waiting []*errand
	busy    bool // somebody serves what waits, and has the rest of this

	known   bool              // what follows is what lay there last
	version string            // resourceVersion; empty when there is no ConfigMap
	data    map[string]string // heads, by objectName
}

// errand is what a bundle wants of its shard: to read its head, or to replace it.
type errand struct {
	name string // objectName of the bundle
	read bool
	// have is the head as it is known, want as it is to be; empty: there is none.
	have, want string
	dry        bool // only asks whether the server would take it
	room       int  // what the shard may come to by it

	got  string // of one that reads
	err  error
	done chan struct{}
}

// slots are held while a request is under way, and bound how many are.
type slots chan struct{}

// take waits for a slot, until release.
func (s slots) take(ctx context.Context) (release func(), err error) {
	select {
	case s <- struct{}{}:
		return func() { <-s }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// shardOf is the number of the shard that a bundle's head lies in.
func shardOf(name string) int {
	h := fnv.New32a()
	h.Write([]byte(name))
	return int(h.Sum32() % shards)
}

// ask has an errand done, and waits for it. Who asks must hold no slot.
func (h *heads) ask(ctx context.Context, e *errand) error {
	e.done = make(chan struct{})
	i := shardOf(e.name)
	s := &h.of[i]
	s.mu.Lock()
	s.waiting = append(s.waiting, e)
	if !s.busy {
		s.busy = true
		h.running.Go(func() { h.serve(i) })
	}
	s.mu.Unlock()
	select {
	case <-e.done:
		return e.err
	case <-ctx.Done():
		s.mu.Lock()
		defer s.mu.Unlock()
		s.waiting = slices.DeleteFunc(s.waiting, func(w *errand) bool { return w == e }) // or it is under way, and who reads after it finds out
		return ctx.Err()
	}
}

// serve does what waits for a shard, all of it at once, until nothing does.
func (h *heads) serve(i int) {
	s := &h.of[i]
	for {
		release, err := h.slots.take(h.within) // more may come meanwhile
		s.mu.Lock()
		batch := s.waiting
		s.waiting = nil
		s.busy = len(batch) > 0
		s.mu.Unlock()
		if err == nil {
			if len(batch) > 0 {
				h.turn(i, batch)
			}
			release()
		}
		if len(batch) == 0 {
			return
		}
		for _, e := range batch {
			e.err = cmp.Or(err, e.err)
			close(e.done)
		}
	}
}

// turn does errands of a shard. When somebody else wrote it meanwhile, it is read again: what they left alone is not in their way.
func (h *heads) turn(i int, batch []*errand) {
	ctx := h.within
	if h.request > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, h.request)
		defer cancel()
	}
	s := &h.of[i]
	for try := 1; ; try++ {
		err := h.attempt(ctx, i, batch)
		if err == nil {
			return
		}
		wasRead := s.known
		s.known = false // it may have been written, or not
		if isLost(err) && try < writersAtOnce {
			continue
		}
		for _, e := range batch {
			if !e.read || !wasRead {
				e.err = cmp.Or(e.err, err)
			}
		}
		return
	}
}

// attempt reads the shard when it must, and writes what the errands make of it. An error is one of the ConfigMap; those of single errands are
// with these.
func (h *heads) attempt(ctx context.Context, i int, batch []*errand) error {
	s := &h.of[i]
	s.known = s.known && !slices.ContainsFunc(batch, func(e *errand) bool { return e.read })
	if !s.known {
		if err := h.read(ctx, i); err != nil {
			return err
		}
	}
	for _, e := range batch {
		e.got, e.err = "", nil
		if e.read {
			e.got = s.data[e.name]
		}
	}
	for _, dry := range []bool{true, false} {
		data, differs := s.with(batch, dry)
		if !differs {
			continue
		}
		version, err := h.write(ctx, i, data, dry)
		if err != nil {
			return err
		}
		if !dry {
			s.data, s.version = data, version
		}
	}
	return nil
}

// with is what the shard holds after errands, and whether that differs from what it holds.
func (s *shard) with(batch []*errand, dry bool) (data map[string]string, differs bool) {
	data = maps.Clone(s.data)
	size := sizeOf(data)
	for _, e := range batch {
		if e.read || e.dry != dry {
			continue
		}
		old := data[e.name]
		grows := len(e.want) - len(old)
		if old == "" && e.want != "" {
			grows += len(e.name)
		}
		switch {
		case old != e.have:
			e.err = apierrors.NewConflict(schema.GroupResource{Resource: "configmaps"}, shardName(shardOf(e.name)), errors.New("the list is not as it was"))
			continue
		case grows > 0 && size+grows > e.room:
			e.err = fmt.Errorf("%w: %s, in namespace %s; what is in it and is not hanse's has to go", errFull, shardName(shardOf(e.name)), Namespace)
			continue
		case e.want == "":
			delete(data, e.name)
		default:
			data[e.name] = e.want
		}
		size += grows
		differs = differs || old != e.want
	}
	return data, differs
}

func sizeOf(data map[string]string) (n int) {
	for name, head := range data {
		n += len(name) + len(head)
	}
	return n
}

func (h *heads) read(ctx context.Context, i int) error {
	cm, err := h.client.Get(ctx, shardName(i), metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		h.of[i].knows(nil)
	case err != nil:
		return fmt.Errorf("read %s: %w", shardName(i), err)
	default:
		h.of[i].knows(cm)
	}
	return nil
}

// knows takes in what lies in the cluster: nil when there is nothing.
func (s *shard) knows(cm *corev1.ConfigMap) {
	s.known, s.version, s.data = true, "", map[string]string{}
	if cm != nil {
		s.version = cm.ResourceVersion
		maps.Copy(s.data, cm.Data)
	}
}

// write replaces a shard. One without heads is deleted: nothing of ours stays behind the last bundle.
func (h *heads) write(ctx context.Context, i int, data map[string]string, dry bool) (version string, err error) {
	if was := h.of[i].version; len(data) == 0 && was != "" {
		if dry {
			return was, nil
		}
		return "", h.client.Delete(ctx, shardName(i), metav1.DeleteOptions{Preconditions: &metav1.Preconditions{ResourceVersion: &was}})
	}
	cm := h.configMap(i, data)
	cm.ResourceVersion = h.of[i].version
	var tries []string
	if dry {
		tries = []string{metav1.DryRunAll}
	}
	if cm.ResourceVersion == "" {
		cm, err = h.client.Create(ctx, cm, metav1.CreateOptions{FieldManager: FieldManager, DryRun: tries})
	} else {
		cm, err = h.client.Update(ctx, cm, metav1.UpdateOptions{FieldManager: FieldManager, DryRun: tries})
	}
	if err != nil {
		return "", err
	}
	return cm.ResourceVersion, nil
}

func (h *heads) configMap(i int, data map[string]string) *corev1.ConfigMap {
	kinds, namespaces := union(data)
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: Namespace, Name: shardName(i),
			Labels: map[string]string{LabelInventory: ofMany, labelApplySetID: idOfShard(i)},
			Annotations: map[string]string{
				annotationTooling: tooling, annotationKinds: kinds, annotationNamespaces: namespaces,
				annotationFleet: h.fleet, annotationCluster: h.cluster,
			},
		},
		Data: data,
	}
}

// union is what KEP-3659 wants on the parent, so that others' tools find the members: all kinds and namespaces that heads tell of. Too many for
// an annotation are left out.
func union(data map[string]string) (kinds, namespaces string) {
	all := [2]map[string]bool{{}, {}}
	for _, raw := range data {
		head, err := parseHead(raw)
		if err != nil {
			continue
		}
		for i, field := range []string{headKinds, headNamespaces} {
			for one := range strings.SplitSeq(head[field], ",") {
				all[i][one] = true
			}
		}
	}
	join := func(set map[string]bool) string {
		delete(set, "")
		if joined := strings.Join(slices.Sorted(maps.Keys(set)), ","); len(joined) <= maxAnnotation {
			return joined
		}
		return ""
	}
	return join(all[0]), join(all[1])
}

// maxAnnotation bounds an annotation, well below what an object may have of them all (256 KiB).
const maxAnnotation = 64 << 10
