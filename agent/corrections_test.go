package agent

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/consensus/store/storetest"
	"github.com/hanse-fleet/hanse/decoded"
)

func TestAMemberIsHandedTheOrdersThatAreForItsCluster(t *testing.T) {
	ordered := func(name, order string) *v1alpha1.Bundle {
		b := &v1alpha1.Bundle{}
		b.Name = name
		if order != "" {
			b.Annotations = map[string]string{v1alpha1.AnnotationCorrect: order}
		}
		return b
	}
	c := &Core{self: self{Fleet: "acme", Cluster: "fra"}, decoded: decoded.NewKinds()}
	v := storetest.View(t, store.Member{ID: "m", Cluster: "fra", Pin: store.Pin{1}}, map[string]any{
		v1alpha1.KeyBundles + "here":      ordered("here", `{"number":7,"in":[{"clusters":["fra","iad"],"objects":[{"kind":"ConfigMap","name":"one"}]},{"clusters":["iad"],"objects":[{"kind":"ConfigMap","name":"two"}]}]}`),
		v1alpha1.KeyBundles + "elsewhere": ordered("elsewhere", `{"number":8,"in":[{"clusters":["iad"],"objects":[]}]}`),
		v1alpha1.KeyBundles + "garbled":   ordered("garbled", "please"),
		v1alpha1.KeyBundles + "none":      ordered("none", ""),
		v1alpha1.KeyBundles + "given":     ordered("given", `{"number":9,"epoch":"m"}`),
		v1alpha1.KeyBundles + "restored":  ordered("restored", `{"number":9,"epoch":"the one before"}`),
	})
	if id := v.Epoch().ID; id != "m" {
		t.Fatalf("it is epoch %q", id)
	}
	got, err := c.corrections(v)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]v1alpha1.Correction{
		"given": {Number: 9, Epoch: "m"},
		"here":  {Number: 7, In: []v1alpha1.CorrectionIn{{Clusters: []string{"fra", "iad"}, Objects: []v1alpha1.ObjectRef{{Kind: "ConfigMap", Name: "one"}}}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
