package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// inventories keeps the inventory of each bundle in ConfigMaps of Namespace.
type inventories struct {
	client corev1client.ConfigMapInterface
	heads  *heads
	// slots are the session's: of a thousand bundles that begin at once, a few ask.
	slots slots
	found found
}

func newInventories(h *heads) *inventories {
	h.within = context.Background() // until there is a session
	return &inventories{client: h.client, heads: h, slots: h.slots}
}

// found is what one list told when the session began, so that a thousand bundles need not ask for their inventories one by one. Each takes its
// own once. A bundle that comes later has none, or had no grant then, and asks.
type found struct {
	mu    sync.Mutex
	known bool
	left  map[string]listed // by objectName
	asks  map[string]bool   // labels, and objectNames, of those that ask
}

// listed is what lies of an inventory: its head, and the ConfigMaps that are its own.
type listed struct {
	head  string
	parts []corev1.ConfigMap
}

// stored is an inventory as it lies in the cluster.
type stored struct {
	inventory
	// head is as it lies there; empty when there is none. It is replaced only while it is this, so that two writers exclude each other.
	head string
	// parts are the names of all chunks that are known to be there, of any generation, and sum what those of the inventory's add up to; empty
	// when that is not known.
	parts []string
	sum   string
	// chunked says that the list lies in chunks, and not in the head.
	chunked bool
}

const chunkKey = "objects"

func chunkName(bundle string, generation uint64, i int) string {
	return fmt.Sprintf("objects.%d.%d.%s", generation, i, objectName(bundle))
}

func isInventoryName(name string) bool {
	return strings.HasPrefix(name, "inventories.") || strings.HasPrefix(name, "objects.")
}

// survey reads the inventories of bundles that are about to take theirs, all at once. No bundle asks for anything meanwhile.
func (s *inventories) survey(ctx context.Context, bundles []Grant) error {
	parts := map[string][]corev1.ConfigMap{} // by label
	var lie [shards]*corev1.ConfigMap
	options := metav1.ListOptions{LabelSelector: LabelInventory, Limit: 500}
	for {
		page, err := s.client.List(ctx, options)
		if err != nil {
			return fmt.Errorf("read inventories: %w", err)
		}
		for _, cm := range page.Items {
			if i, is := shardCalled(cm.Name); is {
				lie[i] = &cm
				continue
			}
			label := cm.Labels[LabelInventory]
			parts[label] = append(parts[label], cm)
		}
		if options.Continue = page.Continue; options.Continue == "" {
			break
		}
	}
	for i, cm := range lie {
		s.heads.of[i].knows(cm)
	}
	s.found.mu.Lock()
	defer s.found.mu.Unlock()
	s.found.known, s.found.left, s.found.asks = true, map[string]listed{}, map[string]bool{}
	for _, g := range bundles {
		name, label := objectName(g.Bundle), v1alpha1.BundleLabel(g.Bundle)
		if l := (listed{s.heads.of[shardOf(name)].data[name], parts[label]}); l.head != "" || len(l.parts) > 0 {
			s.found.left[name] = l
		}
		delete(parts, label)
	}
	for label := range parts { // without a grant: it may be changed by hand before it is taken
		s.found.asks[label] = true
	}
	for i := range lie {
		for name := range s.heads.of[i].data {
			if _, granted := s.found.left[name]; !granted {
				s.found.asks[name] = true
			}
		}
	}
	return nil
}

// shardCalled is the number of the shard of a name.
func shardCalled(name string) (int, bool) {
	for i := range shards {
		if name == shardName(i) {
			return i, true
		}
	}
	return 0, false
}

// first reads a bundle's inventory, or takes what the survey found of it. That nothing was found holds: only the holder of the lease makes
// any, and where somebody else did, the first save fails, and it is read.
func (s *inventories) first(ctx context.Context, bundle string) (stored, error) {
	name := objectName(bundle)
	s.found.mu.Lock()
	there, taken := s.found.left[name], !s.found.known || s.found.asks[name] || s.found.asks[v1alpha1.BundleLabel(bundle)]
	s.found.mu.Unlock()
	if taken {
		return s.load(ctx, bundle)
	}
	s.ask(bundle)
	return readInventory(bundle, there)
}

// ask has the inventory of a bundle read from now on.
func (s *inventories) ask(bundle string) {
	s.found.mu.Lock()
	defer s.found.mu.Unlock()
	if s.found.known {
		s.found.asks[objectName(bundle)] = true
		delete(s.found.left, objectName(bundle))
	}
}

// load reads a bundle's inventory. That there is none is no error: it then has no head. errDamaged comes with the
// head, so that it can be written anew.
func (s *inventories) load(ctx context.Context, bundle string) (stored, error) {
	s.ask(bundle)
	parts, err := s.list(ctx, v1alpha1.BundleLabel(bundle))
	if err != nil {
		return stored{}, fmt.Errorf("read inventory: %w", err)
	}
	head := errand{name: objectName(bundle), read: true}
	if err := s.heads.ask(ctx, &head); err != nil {
		return stored{}, fmt.Errorf("read inventory: %w", err)
	}
	return readInventory(bundle, listed{head.got, parts})
}

// list reads the ConfigMaps of a bundle's own.
func (s *inventories) list(ctx context.Context, label string) ([]corev1.ConfigMap, error) {
	release, err := s.slots.take(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	list, err := s.client.List(ctx, metav1.ListOptions{LabelSelector: LabelInventory + "=" + label})
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

// readInventory reads it from what lies there.
func readInventory(bundle string, there listed) (stored, error) {
	out := stored{inventory: inventory{bundle: bundle, entries: map[key]entry{}}, head: there.head}
	chunks := map[string]string{}
	for _, cm := range there.parts {
		chunks[cm.Name] = cm.Data[chunkKey]
		out.parts = append(out.parts, cm.Name)
		out.generation = max(out.generation, generationOf(cm.Name))
	}
	if out.head == "" {
		return out, nil
	}
	head, err := parseHead(out.head)
	if err != nil {
		return out, err
	}
	inv, err := decode(head, func(generation uint64, i int) (string, bool) {
		chunk, found := chunks[chunkName(bundle, generation, i)]
		return chunk, found
	})
	if err == nil && inv.bundle != bundle {
		err = fmt.Errorf("%w: it is of bundle %q", errDamaged, clip(inv.bundle, maxName))
	}
	if err != nil {
		return out, err
	}
	out.inventory, out.sum, out.chunked = inv, head["sha256"], head["format"] == formatChunks
	return out, nil
}

func generationOf(chunk string) uint64 {
	_, rest, _ := strings.Cut(chunk, ".")
	number, _, _ := strings.Cut(rest, ".")
	generation, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		return 0
	}
	return generation
}

// save replaces what lies in the cluster by inv, and is the only way there: chunks of a new generation first, then
// the head, then the old chunks go. Where the list is the same, its chunks stay, and the head alone is written, as where it is short. have is what was
// loaded or saved before. Of a save that failed, chunks may be left that nobody may delete, as a head that speaks of them may have been written
// after all: so the next one finds out first whether the head would be taken, and leaves no more of them. A list for which its shard has no room in
// the head gets chunks, however short it is.
func (s *inventories) save(ctx context.Context, have stored, inv inventory) (stored, error) {
	out, err := s.saveWith(ctx, have, inv, maxInHead)
	if errors.Is(err, errFull) && inv.isShort() {
		out, err = s.saveWith(ctx, out, inv, 0)
	}
	if err != nil {
		return out, fmt.Errorf("write inventory: %w", err)
	}
	return out, nil
}

func (s *inventories) saveWith(ctx context.Context, have stored, inv inventory, inHead int) (stored, error) {
	head, chunks, err := inv.encode(inHead, maxChunk)
	if err != nil {
		return have, err
	}
	out := stored{sum: head["sha256"], chunked: len(chunks) > 0}
	inv.generation = have.generation
	put := errand{name: objectName(inv.bundle), have: have.head, room: roomForHeads}
	if inHead > 0 && !out.chunked {
		put.room = roomForLists
	}
	if put.want, err = writeHead(head); err != nil {
		return have, err
	}
	switch {
	case !out.chunked:
	case have.chunked && out.sum == have.sum:
		out.parts = have.parts
	default:
		if have.hasLeft() {
			try := put
			try.dry = true
			if err := s.heads.ask(ctx, &try); err != nil {
				return have, err
			}
		}
		if inv.generation, out.parts, err = s.putChunks(ctx, inv.bundle, have.generation+1, chunks); err != nil {
			return have, err
		}
	}
	old := slices.DeleteFunc(slices.Clone(have.parts), func(part string) bool { return slices.Contains(out.parts, part) })
	head["generation"] = strconv.FormatUint(inv.generation, 10)
	if put.want, err = writeHead(head); err != nil {
		return have, err
	}
	out.inventory, out.head = inv, put.want
	if err := s.heads.ask(ctx, &put); err != nil {
		have.parts = slices.Compact(slices.Sorted(slices.Values(slices.Concat(have.parts, out.parts))))
		return have, err
	}
	// What cannot be deleted now is found by the next load.
	if err := s.drop(ctx, old); err != nil {
		out.parts = append(out.parts, old...)
	}
	return out, nil
}

// hasLeft says that chunks are there of which no head is known to speak.
func (s stored) hasLeft() bool {
	ofHead := func(part string) bool { return s.chunked && generationOf(part) == s.generation }
	return slices.ContainsFunc(s.parts, func(part string) bool { return !ofHead(part) })
}

// putChunks writes chunks as the first generation from one on that is free, or theirs already. None is ever changed: a head may speak of
// it, of which the answer was lost.
func (s *inventories) putChunks(ctx context.Context, bundle string, generation uint64, chunks []string) (uint64, []string, error) {
	release, err := s.slots.take(ctx)
	if err != nil {
		return 0, nil, err
	}
	defer release()
	for ; ; generation++ {
		var parts []string
		var err error
		for i := 0; i < len(chunks) && err == nil; i++ {
			cm := s.configMap(bundle, chunkName(bundle, generation, i), map[string]string{chunkKey: chunks[i]})
			err = s.put(ctx, cm)
			parts = append(parts, cm.Name)
		}
		if !errors.Is(err, errTaken) {
			return generation, parts, err
		}
	}
}

// errTaken means that a chunk of this name holds something else.
var errTaken = errors.New("another save has left a chunk of this name")

func (s *inventories) put(ctx context.Context, cm *corev1.ConfigMap) error {
	_, err := s.client.Create(ctx, cm, metav1.CreateOptions{FieldManager: FieldManager})
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	there, err := s.client.Get(ctx, cm.Name, metav1.GetOptions{})
	if err == nil && there.Data[chunkKey] != cm.Data[chunkKey] {
		return errTaken
	}
	return err
}

func (s *inventories) configMap(bundle, name string, data map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: name, Labels: map[string]string{LabelInventory: v1alpha1.BundleLabel(bundle)}},
		Data:       data,
	}
}

// remove deletes an inventory that lists nothing that is still there: the head first, so that what is left of it
// after a crash speaks of nothing.
func (s *inventories) remove(ctx context.Context, have stored) error {
	if err := s.heads.ask(ctx, &errand{name: objectName(have.bundle), have: have.head}); err != nil {
		return fmt.Errorf("delete inventory: %w", err)
	}
	if err := s.drop(ctx, have.parts); err != nil {
		return fmt.Errorf("delete inventory: %w", err)
	}
	return nil
}

func (s *inventories) drop(ctx context.Context, names []string) error {
	if len(names) == 0 {
		return nil
	}
	release, err := s.slots.take(ctx)
	if err != nil {
		return err
	}
	defer release()
	for _, name := range names {
		err := s.client.Delete(ctx, name, metav1.DeleteOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			return err
		}
	}
	return nil
}

// isLost says that somebody else wrote or removed the inventory since it was loaded.
func isLost(err error) bool {
	var status apierrors.APIStatus
	return errors.As(err, &status) && (apierrors.IsConflict(err) || apierrors.IsNotFound(err) || apierrors.IsAlreadyExists(err))
}
