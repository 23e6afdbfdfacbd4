package main

import (
	"context"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/plan"
)

// leftToSilence says which secrets nobody that is heard could open after a change of the clusters; "" when there is none. It is for who is to be asked
// before: a member says the same when it is done (agent, foretell).
func (f *fleet) leftToSilence(ctx context.Context, change func([]*v1alpha1.Cluster) []*v1alpha1.Cluster) (string, error) {
	var groups v1alpha1.RecipientGroupList
	if _, err := f.read(ctx, request{path: mustKind("RecipientGroup").path()}, &groups); err != nil || len(groups.Items) == 0 {
		return "", err
	}
	var secrets v1alpha1.FleetSecretList
	var clusters v1alpha1.ClusterList
	var fleets v1alpha1.FleetList
	for kind, list := range map[string]any{"FleetSecret": &secrets, "Cluster": &clusters, "Fleet": &fleets} {
		if _, err := f.read(ctx, request{path: mustKind(kind).path()}, list); err != nil {
			return "", err
		}
	}
	var before plan.Candidates
	heard := map[string]bool{}
	for _, o := range fleets.Items {
		before.Fleet = o.Spec
	}
	for i := range clusters.Items {
		o := &clusters.Items[i]
		before.Clusters = append(before.Clusters, o)
		heard[o.Name] = !meta.IsStatusConditionFalse(o.Status.Conditions, v1alpha1.ConditionReady)
	}
	after := plan.Candidates{Fleet: before.Fleet, Clusters: change(slices.Clone(before.Clusters))}
	var lost []string
	for i := range groups.Items {
		g := &groups.Items[i]
		sealed := sealedFor(secrets.Items, g.Name)
		silent := plan.LeftToSilence(plan.Readership{Group: g, Of: before}, plan.Readership{Group: g, Of: after}, func(name string) bool { return heard[name] })
		if len(silent) > 0 && len(sealed) > 0 {
			lost = append(lost, plan.LeftToSilenceText(g.Name, silent, sealed))
		}
	}
	return strings.Join(lost, "\n"), nil
}

// sealedFor are the names of the secrets of a group.
func sealedFor(all []v1alpha1.FleetSecret, group string) (names []string) {
	for _, s := range all {
		if s.Spec.Group == group {
			names = append(names, s.Name)
		}
	}
	return names
}

// without takes a cluster out.
func without(name string) func([]*v1alpha1.Cluster) []*v1alpha1.Cluster {
	return func(all []*v1alpha1.Cluster) []*v1alpha1.Cluster {
		return slices.DeleteFunc(all, func(c *v1alpha1.Cluster) bool { return c.Name == name })
	}
}

// relabelled gives a cluster other labels; of nil it has none.
func relabelled(name string, labels map[string]*string) func([]*v1alpha1.Cluster) []*v1alpha1.Cluster {
	return func(all []*v1alpha1.Cluster) []*v1alpha1.Cluster {
		for i, c := range all {
			if c.Name != name {
				continue
			}
			all[i] = c.DeepCopy()
			for key, value := range labels {
				delete(all[i].Labels, key)
				if value != nil {
					metav1.SetMetaDataLabel(&all[i].ObjectMeta, key, *value)
				}
			}
		}
		return all
	}
}
