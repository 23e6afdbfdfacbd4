package drill

import (
	"context"
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-fleet/hanse/chaos/testbed"
)

var changes = flag.Int("changes", 10_000, "writes that controllers watch in a drill; a million take some hours, with -timeout 0")

// roundOf is how many changes are written around one cut of the watched member.
const roundOf = 5_000

// controllers lets controllers that nobody here wrote watch the fleet through kube-apiservers, while people write through
// all members, the controllers' own member dies and comes back, and a controller is cut off for longer than its member
// remembers. The chronicle, read at a member that lives through it all, must have every write that was acknowledged; and
// what everybody saw must be the chronicle. It is held on a fleet without bundles.
func controllers(t *testing.T, f *field) {
	t.Logf("seed %d; again with: go test ./chaos/drill -run TestSoftwareOfOthers/controllers -seed %d -changes %d", *seed, *seed, *changes)
	const steady, watched, cut = "iad", "sin", "fra" // fra founded the fleet, so it leads at first
	story := f.record(t, steady)
	begin(t, bundles(t, f.seat(t, steady).rest()))
	kubectl := f.kubectlWatches(t, watched)
	line := new(line)
	informed := f.informer(t, cut, line)

	scribes := f.scribes(t)
	for round := 0; round*roundOf < *changes; round++ {
		scribes.write(t, min(roundOf, *changes-round*roundOf), func() {
			if round%2 == 0 {
				f.restart(t, cut)
				return
			}
			// The controller is away for longer than its member remembers.
			line.cut()
			f.passHistory(t, steady, story, kubectl)
			line.mend()
		})
	}
	end := scribes.finish(t)

	whole := story.until(t, end)
	if err := whole.Check(); err != nil {
		t.Errorf("the chronicle: %v", err)
	}
	if err := scribes.confirmed(whole); err != nil {
		t.Errorf("what was acknowledged: %v", err)
	}
	t.Logf("%d events of %d writes", len(whole), *changes)
	t.Run("kubectl get --watch shows each change once", func(t *testing.T) {
		all := kubectl.until(t, end)
		first := Sighting{From: all[0].Revision, Listed: map[string]uint64{all[0].Name: all[0].Revision}, Seen: all[1:], Told: end}
		if err := whole.Confirm([]Sighting{first}); err != nil {
			t.Error(err)
		}
		t.Logf("it shows %d events", len(first.Seen))
	})
	t.Run("an informer is told everything, over cuts too", func(t *testing.T) { informed.confirm(t, whole) })
	t.Run("a work queue ends where the fleet does", func(t *testing.T) { informed.drained(t, whole.At(end)) })
	t.Run("garbage collectors do as they are told", func(t *testing.T) { fleetIsCollected(t, f, cut, story) })
}

// restart kills a cluster's member and starts it again at once.
func (f *field) restart(t *testing.T, cluster string) {
	t.Helper()
	c := f.cluster(t, cluster)
	if err := c.Kill(testbed.Member); err != nil {
		t.Fatal(err)
	}
	if err := f.bed.Heal(t.Context(), c.Region()); err != nil {
		t.Fatal(err)
	}
}

// ballast is more than a sixth of what a member remembers: its history counts what was, and what is. It is just less than
// a bundle may hold.
const ballast = 11<<20 + 1<<19

// passHistory makes more history than a member remembers, no faster than the watchers read.
func (f *field) passHistory(t *testing.T, member string, watchers ...*seen) {
	t.Helper()
	client := bundles(t, f.seat(t, member).rest())
	heavy := bundleNamed("heavy")
	heavy.Object["spec"] = map[string]any{"manifests": []any{map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "heavy", "namespace": "default"},
		"data": map[string]any{"weight": strings.Repeat("hanse ", ballast/6)},
	}}}
	begun := time.Now()
	for i := range 4 {
		var written *unstructured.Unstructured
		until(t, 3*time.Minute, func(ctx context.Context) (err error) {
			change := fmt.Appendf(nil, `{"metadata":{"annotations":{"example.com/change":"%d %d"}}}`, i, begun.UnixNano())
			written, err = client.Patch(ctx, heavy.GetName(), types.MergePatchType, change, metav1.PatchOptions{})
			if apierrors.IsNotFound(err) {
				written, err = client.Create(ctx, heavy, metav1.CreateOptions{})
			}
			return err
		})
		for _, w := range watchers {
			w.until(t, revisionOf(t, written))
		}
	}
	t.Logf("the history was passed in %s", round(time.Since(begun)))
}
