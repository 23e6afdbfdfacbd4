package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/plan"
)

// waves says in which order clusters would get a change, as the leader would cut it; "" when nothing changes. A change gives its
// revision to all clusters of the bundle, those too in which no object is different.
func (d *differ) waves(ctx context.Context, w whereabouts, clusters []prospect) (string, error) {
	if !slices.ContainsFunc(clusters, prospect.differs) {
		return "", nil
	}
	fleet, err := d.fleet.rolloutPolicy(ctx)
	if err != nil {
		return "", err
	}
	var lose []string
	for _, p := range clusters {
		if p.Loses {
			lose = append(lose, p.Cluster)
		}
	}
	return wavesText(plan.Waves(fleet, &w.bundle, w.ground.Clusters, w.decision.Picked, lose), w.bundle.Spec, fleet), nil
}

// rolloutPolicy is what the fleet says of rollouts.
func (f *fleet) rolloutPolicy(ctx context.Context) (v1alpha1.FleetRollout, error) {
	var fleets v1alpha1.FleetList
	if _, err := f.read(ctx, request{path: mustKind("Fleet").path()}, &fleets); err != nil {
		return v1alpha1.FleetRollout{}, err
	}
	if len(fleets.Items) == 0 {
		return (*v1alpha1.FleetRollout)(nil).Resolved(), nil
	}
	return fleets.Items[0].Spec.Rollout.Resolved(), nil
}

// wavesText: it would go: eu (fra), then us (iad); soak 30s each.
func wavesText(waves []v1alpha1.Wave, spec v1alpha1.BundleSpec, fleet v1alpha1.FleetRollout) string {
	var words []string
	stage := ""
	for _, w := range waves {
		text := few(slices.Sorted(slices.Values(slices.Concat(w.Clusters, w.Withdraw))))
		if w.Domain != "" {
			text = fmt.Sprintf("%s (%s)", w.Domain, text)
		}
		if w.Stage != stage {
			stage, text = w.Stage, fmt.Sprintf("stage %s: %s", w.Stage, text)
		}
		words = append(words, text)
	}
	said := "it would go: " + strings.Join(words, ", then ")
	hasSoak := func(s v1alpha1.RolloutStage) bool { return s.Soak != nil }
	rollout := spec.Rollout.Resolved(fleet)
	if soak := rollout.Soak.Duration; soak > 0 && !slices.ContainsFunc(rollout.Stages, hasSoak) {
		said += "; soak " + span(soak) + " each"
	}
	if len(spec.DependsOn) > 0 {
		said += "; each once " + few(spec.DependsOn) + " is ready there"
	}
	return said
}
