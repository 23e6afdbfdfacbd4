package agent

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/decoded"
	"github.com/hanse-fleet/hanse/plan"
)

// When pods are divided anew because another cluster died, a label that changed long ago is not taken up on the way.
func TestWhatIsDividedAnewIsElseAsItWasGranted(t *testing.T) {
	content := v1alpha1.BundleContent{
		Manifests: []runtime.RawExtension{{Raw: []byte(`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web"},"spec":{"replicas":4}}`)}},
		Overrides: []v1alpha1.Override{{ClusterSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"tier": "canary"}}}},
		Division:  []v1alpha1.Division{{Target: v1alpha1.Target{Kind: "Deployment", Name: "web"}, By: v1alpha1.DivideByWeight}},
	}
	b := &v1alpha1.Bundle{TypeMeta: v1alpha1.TypeOf("Bundle"), ObjectMeta: metav1.ObjectMeta{Name: "shop"}}
	b.Spec.BundleContent, b.Spec.Placement = content, v1alpha1.Placement{ClusterSelector: &metav1.LabelSelector{}}
	l := &log{T: t, Store: store.New(nil)}
	for _, name := range []string{"shop-00000001-1", "shop-00000001-2"} {
		l.put(v1alpha1.KeyBundleRevisions+name, &v1alpha1.BundleRevision{Spec: v1alpha1.BundleRevisionSpec{Bundle: "shop", BundleContent: content}})
	}
	granted := func(revision string, parts ...int32) v1alpha1.Grant {
		g := v1alpha1.Grant{Bundle: "shop", Revision: revision}
		if len(parts) > 0 {
			g.Frozen = &v1alpha1.Frozen{Divided: parts}
		}
		return g
	}
	fra := v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "fra", Labels: map[string]string{"tier": "canary"}}} // it was prod when it was granted
	for name, c := range map[string]struct {
		had, next v1alpha1.Grant
		want      *v1alpha1.Frozen
	}{
		"another part":        {granted("shop-00000001-1", 2), granted("shop-00000001-1", 4), &v1alpha1.Frozen{Divided: []int32{4}}},
		"another revision":    {granted("shop-00000001-1", 2), granted("shop-00000001-2"), &v1alpha1.Frozen{Overrides: []int32{0}, Divided: []int32{4}}},
		"nothing was granted": {v1alpha1.Grant{}, granted("shop-00000001-1"), &v1alpha1.Frozen{Overrides: []int32{0}, Divided: []int32{4}}},
	} {
		t.Run(name, func(t *testing.T) {
			s := scene{view: l.View(), freezer: &freezer{}, bundles: []decoded.Object[v1alpha1.Bundle]{{Key: "shop", Value: b}}}
			s.plan.Clusters, s.plan.Grants = []v1alpha1.Cluster{fra}, map[string]map[string]v1alpha1.Grant{"shop": {"fra": c.had}}
			w := (&leader{Core: &Core{decoded: decoded.NewKinds()}}).newWriting(s)
			step := plan.Step{Bundle: "shop", Grants: map[string]v1alpha1.Grant{"fra": c.next}}
			if err := w.freeze(step); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, step.Grants["fra"].Frozen); diff != "" {
				t.Error(diff)
			}
		})
	}
}
