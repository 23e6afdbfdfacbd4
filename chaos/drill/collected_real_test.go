package drill

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
)

// fleetIsCollected lets the garbage collectors of all clusters collect what objects of the fleet own. They see the same
// objects, and all act.
func fleetIsCollected(t *testing.T, f *field, cluster string, story *seen) {
	client := bundles(t, f.aggregated(t, cluster))
	t.Run("in the background", func(t *testing.T) {
		owner := family(t, client, "background", 3)
		local := f.localOwned(t, cluster, owner)
		remove(t, client, owner, metav1.DeletePropagationBackground)
		t.Logf("bundles after %s", round(until(t, 2*time.Minute, onlyLeft(client, "background"))))
		took := until(t, 3*time.Minute, func(ctx context.Context) error {
			if _, err := f.kubernetes(t, cluster).CoreV1().ConfigMaps("default").Get(ctx, local, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
				return fmt.Errorf("the cluster's own object is still there: %v", err)
			}
			return nil
		})
		t.Logf("the cluster's own after %s", round(took))
	})
	t.Run("in the foreground, the owner last", func(t *testing.T) {
		owner := family(t, client, "foreground", 3)
		remove(t, client, owner, metav1.DeletePropagationForeground)
		t.Logf("after %s", round(until(t, 2*time.Minute, onlyLeft(client, "foreground"))))
		until(t, 3*time.Minute, func(context.Context) error { return lastGone(story, owner.GetName(), 4) })
	})
	t.Run("orphans stay, without an owner", func(t *testing.T) {
		owner := family(t, client, "orphan", 2)
		remove(t, client, owner, metav1.DeletePropagationOrphan)
		t.Logf("after %s", round(until(t, 2*time.Minute, onlyLeft(client, "orphan", "orphan-0", "orphan-1"))))
		for _, name := range []string{"orphan-0", "orphan-1"} {
			o, err := client.Get(t.Context(), name, metav1.GetOptions{})
			if err != nil || len(o.GetOwnerReferences()) > 0 {
				t.Errorf("%s: owners %v, %v", name, o.GetOwnerReferences(), err)
			}
		}
	})
	t.Run("many at once, and no others", func(t *testing.T) {
		if err := client.DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "family=orphan"}); err != nil {
			t.Fatal(err)
		}
		until(t, 3*time.Minute, onlyLeft(client, "orphan"))
		if _, err := client.Get(t.Context(), "the-end", metav1.GetOptions{}); err != nil {
			t.Error(err)
		}
	})
	t.Run("namespaces are deleted", func(t *testing.T) {
		f.roomy(t, "busy")
		f.deleteNamespace(t, "busy")
		t.Logf("gone after %s", round(until(t, 2*time.Minute, f.namespaceGone(t, "busy"))))
	})
}

// family makes a bundle that owns others.
func family(t *testing.T, client dynamic.ResourceInterface, name string, dependents int) *unstructured.Unstructured {
	t.Helper()
	born := func(name, family string, owners ...metav1.OwnerReference) *unstructured.Unstructured {
		o := bundleNamed(name)
		o.SetLabels(map[string]string{"family": family})
		o.SetOwnerReferences(owners)
		o, err := client.Create(t.Context(), o, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	owner := born(name, name)
	for i := range dependents {
		born(fmt.Sprintf("%s-%d", name, i), name, ownedBy(owner))
	}
	return owner
}

func ownedBy(o *unstructured.Unstructured) metav1.OwnerReference {
	blocks := true
	return metav1.OwnerReference{APIVersion: o.GetAPIVersion(), Kind: o.GetKind(), Name: o.GetName(), UID: o.GetUID(), BlockOwnerDeletion: &blocks}
}

// localOwned makes an object of the cluster itself that an object of the fleet owns.
func (f *field) localOwned(t *testing.T, cluster string, owner *unstructured.Unstructured) string {
	t.Helper()
	owned := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{GenerateName: "owned-", OwnerReferences: []metav1.OwnerReference{ownedBy(owner)}}}
	owned, err := f.kubernetes(t, cluster).CoreV1().ConfigMaps("default").Create(t.Context(), owned, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return owned.Name
}

func remove(t *testing.T, client dynamic.ResourceInterface, o *unstructured.Unstructured, how metav1.DeletionPropagation) {
	t.Helper()
	if err := client.Delete(t.Context(), o.GetName(), metav1.DeleteOptions{PropagationPolicy: &how}); err != nil {
		t.Fatal(err)
	}
}

// onlyLeft checks that of a family only these are there.
func onlyLeft(client dynamic.ResourceInterface, family string, names ...string) func(context.Context) error {
	return func(ctx context.Context) error {
		list, err := client.List(ctx, metav1.ListOptions{LabelSelector: "family=" + family})
		if err != nil {
			return err
		}
		var there []string
		for _, o := range list.Items {
			there = append(there, o.GetName())
		}
		if slices.Sort(there); !slices.Equal(there, names) {
			return fmt.Errorf("there are %v, not %v", there, names)
		}
		return nil
	}
}

// lastGone checks that so many were deleted last, an owner after all others.
func lastGone(story *seen, owner string, n int) error {
	story.mu.Lock()
	defer story.mu.Unlock()
	var gone []string
	for _, h := range story.all {
		if h.Type == watch.Deleted {
			gone = append(gone, h.Name)
		}
	}
	if gone = gone[max(0, len(gone)-n):]; len(gone) < n || gone[n-1] != owner || !slices.ContainsFunc(gone, func(name string) bool { return name == owner+"-0" }) {
		return fmt.Errorf("deleted in this order: %v", gone)
	}
	return nil
}
