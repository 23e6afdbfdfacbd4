package apiserver

import (
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func TestAnObjectIsOwnedByObjectsOfTheFleetAlone(t *testing.T) {
	l := start(t, nil)
	bundles, ctx := client(t, l.local(), "bundles"), t.Context()
	owner, err := bundles.Create(ctx, bundle("owner"), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	owned := bundle("owned")
	owned.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: "fleet.hanse.dev/v1alpha1", Kind: "Bundle", Name: "owner", UID: owner.GetUID()}})
	if _, err := bundles.Create(ctx, owned, metav1.CreateOptions{}); err != nil {
		t.Errorf("owned by a bundle: %v", err)
	}
	for kind, may := range map[string]bool{
		"Fleet": true, "Cluster": true, "User": true, "Bundle": true,
		"BundleRevision": false, "Rollout": false, "Work": false, "ClusterMetrics": false, "Change": false, "Nothing": false,
	} {
		b := bundle("of-" + strings.ToLower(kind))
		b.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: "fleet.hanse.dev/v1alpha1", Kind: kind, Name: "x", UID: "u"}})
		_, err := bundles.Create(ctx, b, metav1.CreateOptions{})
		if may && err != nil || !may && (!apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "metadata.ownerReferences[0].kind: Unsupported value: \""+kind)) {
			t.Errorf("owned by a %s: %v", kind, err)
		}
	}
	foreign := bundle("foreign")
	foreign.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: "example.com/v1", Kind: "Widget", Name: "w", UID: "u"}})
	_, err = bundles.Create(ctx, foreign, metav1.CreateOptions{})
	if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "metadata.ownerReferences[0].apiVersion") {
		t.Errorf("owned by what only one cluster has: %v", err)
	}
}

func TestDeletionWaitsForWhoHoldsTheObject(t *testing.T) {
	l := start(t, nil)
	bundles, ctx := client(t, l.local(), "bundles"), t.Context()
	foreground, orphan := metav1.DeletePropagationForeground, metav1.DeletePropagationOrphan
	for name, row := range map[string]struct {
		own    []string
		policy *metav1.DeletionPropagation
		holds  string // "": deleted at once
	}{
		"nobody":        {},
		"a finalizer":   {own: []string{"example.com/hold"}, holds: "example.com/hold"},
		"its dependent": {policy: &foreground, holds: metav1.FinalizerDeleteDependents},
		"its orphans":   {policy: &orphan, holds: metav1.FinalizerOrphanDependents},
	} {
		t.Run(name, func(t *testing.T) {
			b := bundle("held")
			b.SetFinalizers(row.own)
			if _, err := bundles.Create(ctx, b, metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
			if err := bundles.Delete(ctx, "held", metav1.DeleteOptions{PropagationPolicy: row.policy}); err != nil {
				t.Fatal(err)
			}
			if row.holds != "" {
				held, err := bundles.Get(ctx, "held", metav1.GetOptions{})
				if err != nil || held.GetDeletionTimestamp() == nil || !slices.Equal(held.GetFinalizers(), []string{row.holds}) {
					t.Fatalf("held by %v, deleted at %v: %v", held.GetFinalizers(), held.GetDeletionTimestamp(), err)
				}
				if _, err := bundles.Patch(ctx, "held", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := bundles.Get(ctx, "held", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
				t.Errorf("it is still there: %v", err)
			}
		})
	}
}
