package main

import (
	"context"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/plan"
)

// noKey says to whom a secret that is on its way is owed because they hold no key; "" when that is nobody, or cannot be found out. When the
// rollout has ended, its message says so.
func (f *fleet) noKey(ctx context.Context, r *v1alpha1.Rollout) string {
	rolled := v1alpha1.RolledOutOf(r.Spec.Bundle)
	if !rolled.IsSecret() || len(r.Status.Owed) == 0 || r.Status.Phase.Ended() {
		return ""
	}
	var s v1alpha1.FleetSecret
	if _, err := f.read(ctx, request{path: mustKind(rolled.Kind).path(rolled.Name)}, &s); err != nil {
		return ""
	}
	var g v1alpha1.RecipientGroup
	if _, err := f.read(ctx, request{path: mustKind("RecipientGroup").path(s.Spec.Group)}, &g); err != nil {
		return ""
	}
	var clusters v1alpha1.ClusterList
	if _, err := f.read(ctx, request{path: mustKind("Cluster").path()}, &clusters); err != nil {
		return ""
	}
	scene := plan.Scene{Sealed: map[string]*plan.Holders{r.Spec.Bundle: plan.HoldersOf(&g, clusters.Items)}}
	if said := scene.NoKey(r.Spec.Bundle, r.Status.Owed...); said != "" {
		return "\n" + said + "\n"
	}
	return ""
}
