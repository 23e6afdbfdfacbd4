package plan_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/plan"
)

// fleet has three clusters, of which fra and iad are prod.
func fleet() []v1alpha1.Cluster {
	cluster := func(name, region, tier string) v1alpha1.Cluster {
		c := v1alpha1.Cluster{Spec: v1alpha1.ClusterSpec{Region: region}}
		c.Name, c.Labels = name, map[string]string{v1alpha1.LabelRegion: region, "tier": tier}
		return c
	}
	return []v1alpha1.Cluster{cluster("sin", "ap", "edge"), cluster("fra", "eu", "prod"), cluster("iad", "us", "prod")}
}

func TestPlace(t *testing.T) {
	matching := func(labels map[string]string) *metav1.LabelSelector {
		return &metav1.LabelSelector{MatchLabels: labels}
	}
	for name, c := range map[string]struct {
		placement v1alpha1.Placement
		want      []string
	}{
		"nothing said picks nothing":           {v1alpha1.Placement{}, nil},
		"an empty selector picks every one":    {v1alpha1.Placement{ClusterSelector: matching(nil)}, []string{"fra", "iad", "sin"}},
		"a selector picks by label":            {v1alpha1.Placement{ClusterSelector: matching(map[string]string{"tier": "prod"})}, []string{"fra", "iad"}},
		"a region is a label":                  {v1alpha1.Placement{ClusterSelector: matching(map[string]string{v1alpha1.LabelRegion: "ap"})}, []string{"sin"}},
		"names and selector add up":            {v1alpha1.Placement{Clusters: []string{"sin"}, ClusterSelector: matching(map[string]string{"tier": "prod"})}, []string{"fra", "iad", "sin"}},
		"a name that is not there is no error": {v1alpha1.Placement{Clusters: []string{"mars", "iad"}}, []string{"iad"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := plan.Place(c.placement, plan.Ground{Clusters: fleet()})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got.Picked); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("a selector that is none is an error", func(t *testing.T) {
		bad := &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "tier", Operator: "Near"}}}
		if got, err := plan.Place(v1alpha1.Placement{ClusterSelector: bad}, plan.Ground{Clusters: fleet()}); err == nil {
			t.Errorf("placed in %v", got)
		}
	})
}
