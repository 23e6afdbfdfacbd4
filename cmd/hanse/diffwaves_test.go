package main

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

func TestTheOrderOfAChangeIsTold(t *testing.T) {
	short := &metav1.Duration{Duration: time.Minute}
	waves := []v1alpha1.Wave{{Domain: "eu", Stage: "canary", Clusters: []string{"fra"}}, {Domain: "eu", Stage: "others", Clusters: []string{"ams"}}, {Domain: "us", Stage: "others", Withdraw: []string{"iad"}}}
	for name, c := range map[string]struct {
		waves []v1alpha1.Wave
		spec  v1alpha1.BundleSpec
		want  string
	}{
		"by fault domains": {
			[]v1alpha1.Wave{{Domain: "eu", Clusters: []string{"fra"}}, {Domain: "us", Clusters: []string{"iad"}}}, v1alpha1.BundleSpec{},
			"it would go: eu (fra), then us (iad); soak 30 s each",
		},
		"without labels": {[]v1alpha1.Wave{{Clusters: []string{"fra", "iad"}}}, v1alpha1.BundleSpec{}, "it would go: fra, iad; soak 30 s each"},
		"by stages": {
			waves, v1alpha1.BundleSpec{Rollout: &v1alpha1.BundleRollout{Stages: []v1alpha1.RolloutStage{{Name: "canary", Soak: short}}}},
			"it would go: stage canary: eu (fra), then stage others: eu (ams), then us (iad)",
		},
		"after another bundle": {
			[]v1alpha1.Wave{{Domain: "eu", Clusters: []string{"fra"}}}, v1alpha1.BundleSpec{BundleContent: v1alpha1.BundleContent{DependsOn: []string{"db"}}, Rollout: &v1alpha1.BundleRollout{Soak: &metav1.Duration{}}},
			"it would go: eu (fra); each once db is ready there",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := wavesText(c.waves, c.spec, (*v1alpha1.FleetRollout)(nil).Resolved()); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}
