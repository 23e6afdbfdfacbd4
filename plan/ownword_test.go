package plan

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

func TestAGroupPicksByWhatClustersSaidThemselves(t *testing.T) {
	cluster := func(name, region, said string) *v1alpha1.Cluster {
		c := &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{v1alpha1.LabelRegion: region, v1alpha1.LabelZone: "a", "tier": "prod"}}}
		if said != "" {
			c.Annotations = map[string]string{v1alpha1.AnnotationSaidItself: said}
		}
		return c
	}
	clusters := []*v1alpha1.Cluster{cluster("ams", "eu", "region,zone"), cluster("cdg", "eu", "zone"), cluster("fra", "eu", ""), cluster("iad", "us", "region"), cluster("mad", "eu", "region")}
	for name, c := range map[string]struct {
		selector *metav1.LabelSelector
		want     string
	}{
		"by region":                {&metav1.LabelSelector{MatchLabels: map[string]string{v1alpha1.LabelRegion: "eu"}}, "ams mad"},
		"by several regions":       {&metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: v1alpha1.LabelRegion, Operator: metav1.LabelSelectorOpIn, Values: []string{"eu", "us"}}}}, "ams iad mad"},
		"by all but a region":      {&metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: v1alpha1.LabelRegion, Operator: metav1.LabelSelectorOpNotIn, Values: []string{"eu"}}}}, "iad"},
		"by zone":                  {&metav1.LabelSelector{MatchLabels: map[string]string{v1alpha1.LabelZone: "a"}}, "ams cdg"},
		"by a label and a region":  {&metav1.LabelSelector{MatchLabels: map[string]string{v1alpha1.LabelRegion: "us", "tier": "prod"}}, "iad"},
		"by a label of an admin's": {&metav1.LabelSelector{MatchLabels: map[string]string{"tier": "prod"}}, ""},
		"all":                      {&metav1.LabelSelector{}, ""},
		"none":                     {nil, ""},
	} {
		g := &v1alpha1.RecipientGroup{Spec: v1alpha1.RecipientGroupSpec{ClusterSelector: c.selector}}
		if got := strings.Join(PickedByOwnWord(g, clusters), " "); got != c.want {
			t.Errorf("%s: picked are %q, not %q", name, got, c.want)
		}
	}
}
