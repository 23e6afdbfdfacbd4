package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// heldFleet has a bundle shop in fra alone, where a grant was taken back: revision 1 runs there, and may have been changed to revision 2 in part.
func heldFleet(t *testing.T) *fleetWith {
	t.Helper()
	f := newFleetWith(both[0], v1alpha1.Rollout{Status: v1alpha1.RolloutStatus{Phase: v1alpha1.RolloutAborted}})
	settings := func(names ...string) map[string]any {
		manifests := []any{}
		for _, name := range names {
			manifests = append(manifests, map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": name, "namespace": "shop"}})
		}
		return map[string]any{"manifests": manifests}
	}
	f.objects["bundlerevisions/shop-u-1"] = map[string]any{"metadata": map[string]any{"name": "shop-u-1"}, "spec": settings("a", "old")}
	f.objects["bundlerevisions/shop-u-2"] = map[string]any{"metadata": map[string]any{"name": "shop-u-2"}, "spec": settings("a", "b")}
	spec := settings("a", "b")
	spec["placement"] = map[string]any{"numberOfClusters": 1, "clusterSelector": map[string]any{}}
	f.objects["bundles/shop"].(map[string]any)["spec"] = spec
	for _, name := range []string{"ams", "fra"} {
		f.objects["clusters/"+name] = v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name}}
	}
	held := v1alpha1.Work{ObjectMeta: metav1.ObjectMeta{Name: "shop.fra"}, Spec: v1alpha1.WorkSpec{Bundle: "shop", Cluster: "fra", Wanted: "shop-u-2", Held: "shop-u-2"}}
	held.Status.Applied = "shop-u-1"
	f.objects["works/shop.fra"] = held
	return f
}

// The leader counts the objects of a cluster whose grant was taken back, whatever becomes of them.
func TestDrainShowsWhatIsHeld(t *testing.T) {
	code, out, _ := heldFleet(t).run(t, "drain", "fra", "--dry-run")
	if code != exitOK || !strings.Contains(out, "1 bundle leaves fra") || !strings.Contains(out, "shop  ams gets it instead") {
		t.Errorf("exit %d:\n%s", code, out)
	}
}

func TestDiffCountsTheDeletionsWhereAGrantIsHeld(t *testing.T) {
	file := filepath.Join(t.TempDir(), "shop.yaml")
	text := `{apiVersion: fleet.hanse.dev/v1alpha1, kind: Bundle, metadata: {name: shop}, spec: {placement: {numberOfClusters: 1, clusterSelector: {}}, manifests: [
  {apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: shop}}, {apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: shop}}]}}`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, _ := heldFleet(t).run(t, "diff", "--local", "-f", file)
	for _, want := range []string{"2 objects are deleted", "fra\n", "- configmap shop/b", "- configmap shop/old", "+ configmap shop/c"} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q", want)
		}
	}
	if code != exitDiffers || strings.Contains(out, "shop/a") {
		t.Errorf("exit %d:\n%s", code, out)
	}
}
