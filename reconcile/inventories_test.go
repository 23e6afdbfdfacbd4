package reconcile

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	ktesting "k8s.io/client-go/testing"
)

// TestALostAnswerHarmsNoInventory: the head of a save was written, and nobody heard; the saves after it must not touch what it speaks of.
func TestALostAnswerHarmsNoInventory(t *testing.T) {
	client := fake.NewClientset()
	s := &inventories{client: client.CoreV1().ConfigMaps(Namespace), fleet: "acme", cluster: "fra"}
	ctx := context.Background()
	inv := inventory{bundle: "shop", entries: map[key]entry{}}
	list := func(name string) {
		inv = inv.clone()
		inv.entries[key{schema.GroupKind{Kind: "ConfigMap"}, "ns", name}] = entry{version: "v1"}
	}
	list("a")
	have, err := s.save(ctx, stored{}, inv)
	if err != nil {
		t.Fatal(err)
	}
	have.version = "1" // the fake gives none
	written := false
	client.PrependReactor("update", "configmaps", func(a ktesting.Action) (bool, runtime.Object, error) {
		cm := a.(ktesting.UpdateAction).GetObject().(*corev1.ConfigMap)
		if cm.Name != headName("shop") {
			return false, nil, nil
		}
		if written {
			return true, nil, apierrors.NewConflict(schema.GroupResource{Resource: "configmaps"}, cm.Name, errors.New("newer"))
		}
		written = true
		if err := client.Tracker().Update(a.GetResource(), cm, Namespace); err != nil {
			t.Error(err)
		}
		return true, nil, errors.New("the answer is lost")
	})
	list("b")
	lies := inv
	if _, err := s.save(ctx, have, inv); err == nil {
		t.Fatal("the answer is not lost")
	}
	for _, name := range []string{"c", "d"} {
		list(name)
		if _, err := s.save(ctx, have, inv); !isLost(err) {
			t.Fatalf("saved over what is newer: %v", err)
		}
	}
	loaded, err := s.load(ctx, "shop")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(lies.entries, loaded.entries, cmp.AllowUnexported(key{}, entry{})); diff != "" {
		t.Error(diff)
	}

	client.ReactionChain = client.ReactionChain[1:]
	loaded.version = "1"
	if _, err := s.save(ctx, loaded, inv); err != nil {
		t.Fatal(err)
	}
	all, err := s.client.List(ctx, metav1.ListOptions{})
	if err != nil || len(all.Items) != 2 {
		t.Errorf("%d are left of a head and a chunk, %v", len(all.Items), err)
	}
	if loaded, err = s.load(ctx, "shop"); err != nil || len(loaded.entries) != 4 {
		t.Errorf("%d entries, %v", len(loaded.entries), err)
	}
}
