package reconcile

import (
	"context"
	"errors"
	"fmt"
	"maps"
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
	client         corev1client.ConfigMapInterface
	fleet, cluster string
	// slots are the session's: of a thousand bundles that begin at once, a few ask.
	slots chan struct{}
	found found
}

// found is what one list told when the session began, so that a thousand bundles need not ask for their inventories one by one. Each takes its
// own once. A bundle that comes later has none, or had no grant then, and asks.
type found struct {
	mu    sync.Mutex
	known bool
	left  map[string][]corev1.ConfigMap // by the label of the bundle
	asks  map[string]bool               // labels of those that ask
}

// stored is an inventory as it lies in the cluster.
type stored struct {
	inventory
	// version is the head's resourceVersion; empty when there is no head. It makes two writers exclude each other.
	version string
	// parts are the names of all chunks that are known to be there, of any generation, and sum what those of the inventory's add up to; empty
	// when that is not known.
	parts []string
	sum   string
}

const chunkKey = "objects"

func chunkName(bundle string, generation uint64, i int) string {
	return fmt.Sprintf("objects.%d.%d.%s", generation, i, objectName(bundle))
}

func isInventoryName(name string) bool {
	return strings.HasPrefix(name, "bundle.") || strings.HasPrefix(name, "objects.")
}

// survey reads the inventories of bundles that are about to take theirs, all at once.
func (s *inventories) survey(ctx context.Context, bundles []Grant) error {
	f := found{left: map[string][]corev1.ConfigMap{}, asks: map[string]bool{}}
	options := metav1.ListOptions{LabelSelector: LabelInventory, Limit: 500}
	for {
		page, err := s.client.List(ctx, options)
		if err != nil {
			return fmt.Errorf("read inventories: %w", err)
		}
		for _, cm := range page.Items {
			label := cm.Labels[LabelInventory]
			f.left[label] = append(f.left[label], cm)
		}
		if options.Continue = page.Continue; options.Continue == "" {
			break
		}
	}
	granted := map[string]bool{}
	for _, g := range bundles {
		granted[v1alpha1.BundleLabel(g.Bundle)] = true
	}
	for label := range f.left {
		if !granted[label] { // it may be changed by hand before it is taken
			f.asks[label] = true
			delete(f.left, label)
		}
	}
	s.found.mu.Lock()
	defer s.found.mu.Unlock()
	s.found.known, s.found.left, s.found.asks = true, f.left, f.asks
	return nil
}

// first reads a bundle's inventory, or takes what the survey found of it. That nothing was found holds: only the holder of the lease makes
// any, and where somebody else did, the first save fails, and it is read.
func (s *inventories) first(ctx context.Context, bundle string) (stored, error) {
	label := v1alpha1.BundleLabel(bundle)
	s.found.mu.Lock()
	parts, taken := s.found.left[label], !s.found.known || s.found.asks[label]
	s.found.mu.Unlock()
	if taken {
		return s.load(ctx, bundle)
	}
	s.ask(label)
	return readInventory(bundle, parts)
}

// ask has the inventory of a bundle read from now on.
func (s *inventories) ask(label string) {
	s.found.mu.Lock()
	defer s.found.mu.Unlock()
	if s.found.known {
		s.found.asks[label] = true
		delete(s.found.left, label)
	}
}

// load reads a bundle's inventory. That there is none is no error: it then has no version. errDamaged comes with the
// head's version, so that it can be written anew.
func (s *inventories) load(ctx context.Context, bundle string) (stored, error) {
	label := v1alpha1.BundleLabel(bundle)
	s.ask(label)
	release, err := s.slot(ctx)
	if err != nil {
		return stored{}, err
	}
	defer release()
	list, err := s.client.List(ctx, metav1.ListOptions{LabelSelector: LabelInventory + "=" + label})
	if err != nil {
		return stored{}, fmt.Errorf("read inventory: %w", err)
	}
	return readInventory(bundle, list.Items)
}

// readInventory reads it from its ConfigMaps.
func readInventory(bundle string, parts []corev1.ConfigMap) (stored, error) {
	out := stored{inventory: inventory{bundle: bundle, entries: map[key]entry{}}}
	maps := map[string]map[string]string{}
	for _, cm := range parts {
		maps[cm.Name] = cm.Data
		if cm.Name == headName(bundle) {
			out.version = cm.ResourceVersion
		} else {
			out.parts = append(out.parts, cm.Name)
			out.generation = max(out.generation, generationOf(cm.Name))
		}
	}
	if out.version == "" {
		return out, nil
	}
	inv, err := decode(maps[headName(bundle)], func(generation uint64, i int) (string, bool) {
		data, found := maps[chunkName(bundle, generation, i)]
		return data[chunkKey], found
	})
	if err == nil && inv.bundle != bundle {
		err = fmt.Errorf("%w: it is of bundle %q", errDamaged, clip(inv.bundle, maxName))
	}
	if err != nil {
		return out, err
	}
	out.inventory, out.sum = inv, maps[headName(bundle)]["sha256"]
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
// after all: so the next one finds out first whether the head would be taken, and leaves no more of them.
func (s *inventories) save(ctx context.Context, have stored, inv inventory) (stored, error) {
	head, chunks, err := inv.encode(maxInHead, maxChunk)
	if err != nil {
		return have, err
	}
	release, err := s.slot(ctx)
	if err != nil {
		return have, err
	}
	defer release()
	out := stored{sum: head["sha256"], parts: have.parts}
	inv.generation = have.generation
	switch {
	case len(chunks) == 0:
		out.parts = nil
	case out.sum != have.sum:
		if have.hasLeft() {
			if _, err := s.putHead(ctx, have.version, s.head(inv, maps.Clone(head)), metav1.DryRunAll); err != nil {
				return have, fmt.Errorf("write inventory: %w", err)
			}
		}
		if inv.generation, out.parts, err = s.putChunks(ctx, inv.bundle, have.generation+1, chunks); err != nil {
			return have, fmt.Errorf("write inventory: %w", err)
		}
	}
	old := slices.DeleteFunc(slices.Clone(have.parts), func(part string) bool { return slices.Contains(out.parts, part) })
	head["generation"] = strconv.FormatUint(inv.generation, 10)
	out.inventory = inv
	written, err := s.putHead(ctx, have.version, s.head(inv, head))
	if err != nil {
		have.parts = slices.Compact(slices.Sorted(slices.Values(slices.Concat(have.parts, out.parts))))
		return have, fmt.Errorf("write inventory: %w", err)
	}
	out.version = written.ResourceVersion
	// What cannot be deleted now is found by the next load.
	if err := s.drop(ctx, old); err != nil {
		out.parts = append(out.parts, old...)
	}
	return out, nil
}

// slot waits for one, until release.
func (s *inventories) slot(ctx context.Context) (release func(), err error) {
	select {
	case s.slots <- struct{}{}:
		return func() { <-s.slots }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// hasLeft says that chunks are there of which no head is known to speak.
func (s stored) hasLeft() bool {
	ofHead := func(part string) bool { return s.version != "" && generationOf(part) == s.generation }
	return slices.ContainsFunc(s.parts, func(part string) bool { return !ofHead(part) })
}

// putChunks writes chunks as the first generation from one on that is free, or theirs already. None is ever changed: a head may speak of
// it, of which the answer was lost.
func (s *inventories) putChunks(ctx context.Context, bundle string, generation uint64, chunks []string) (uint64, []string, error) {
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

func (s *inventories) putHead(ctx context.Context, version string, cm *corev1.ConfigMap, dryRun ...string) (*corev1.ConfigMap, error) {
	if version == "" {
		return s.client.Create(ctx, cm, metav1.CreateOptions{FieldManager: FieldManager, DryRun: dryRun})
	}
	cm.ResourceVersion = version
	return s.client.Update(ctx, cm, metav1.UpdateOptions{FieldManager: FieldManager, DryRun: dryRun})
}

func (s *inventories) head(inv inventory, data map[string]string) *corev1.ConfigMap {
	data["fleet"], data["cluster"] = s.fleet, s.cluster
	cm := s.configMap(inv.bundle, headName(inv.bundle), data)
	cm.Labels[labelApplySetID] = applySetID(inv.bundle)
	cm.Annotations = map[string]string{
		annotationTooling: tooling, annotationKinds: inv.groupKinds(), annotationNamespaces: inv.namespaces(),
	}
	return cm
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
	if err := s.drop(ctx, append([]string{headName(have.bundle)}, have.parts...)); err != nil {
		return fmt.Errorf("delete inventory: %w", err)
	}
	return nil
}

func (s *inventories) drop(ctx context.Context, names []string) error {
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
