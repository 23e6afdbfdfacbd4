package agent

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

func TestAMemberPutsRightWhatIsOrderedForItsCluster(t *testing.T) {
	member := store.Member{ID: "11111111-1111-4111-8111-111111111111", Cluster: "fra", Region: "eu", Pin: store.Pin{1}}
	ordered := func(name string, order any) v1alpha1.Bundle {
		text, err := json.Marshal(order)
		if err != nil {
			t.Fatal(err)
		}
		b := claiming(name, "eu", "of-"+name)
		b.Annotations = map[string]string{v1alpha1.AnnotationCorrect: string(text)}
		return b
	}
	web := v1alpha1.ObjectRef{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "web"}
	all := map[string]any{v1alpha1.KeyBundles + "none": claiming("none", "eu", "a")}
	for _, b := range []v1alpha1.Bundle{
		ordered("everywhere", v1alpha1.Correction{ID: "1"}),
		ordered("here", v1alpha1.Correction{ID: "2", Clusters: []string{"fra", "iad"}, Objects: []v1alpha1.ObjectRef{web}}),
		ordered("elsewhere", v1alpha1.Correction{ID: "3", Clusters: []string{"iad"}}),
		ordered("nameless", v1alpha1.Correction{Clusters: []string{"fra"}}),
		ordered("broken", "no order"),
	} {
		all[v1alpha1.KeyBundles+b.Name] = b
	}
	c := &Core{decoded: newDecoded(), self: self{Cluster: "fra"}}
	found, err := c.corrections(stateWith(t, member, all))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"everywhere", "here"}, slices.Sorted(maps.Keys(found))); diff != "" {
		t.Error(diff)
	}
	if got := found["here"]; got.ID != "2" || len(got.Objects) != 1 || got.Objects[0] != web {
		t.Errorf("%+v", got)
	}
}
