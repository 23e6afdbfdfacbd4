package agent

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/decoded"
	"github.com/hanse-fleet/hanse/law"
	"github.com/hanse-fleet/hanse/plan"
	"github.com/hanse-fleet/hanse/render"
)

// freezer makes what goes into grants of their revision. The clusters of a wave get the same one, so the last one that was read is
// kept; a revision never changes.
type freezer struct {
	name     string
	revision v1alpha1.BundleRevisionSpec
}

// frozenIn is what goes into a grant. One that only says other parts of what is divided, of a revision that the cluster has, keeps all else as it was
// granted: labels and facts that have changed since are taken up by the next change.
func (s scene) frozenIn(cluster string, g v1alpha1.Grant) (*v1alpha1.Frozen, error) {
	had := s.plan.Grants[g.Bundle][cluster]
	frozen := had.Frozen.DeepCopy()
	if g.Frozen == nil || frozen == nil || had.Withdraw || had.Revision != g.Revision {
		var err error
		if frozen, err = s.frozen(g.Revision, cluster); err != nil {
			return nil, err
		}
	}
	if g.Frozen != nil && frozen != nil {
		frozen.Divided = g.Frozen.Divided
	}
	return frozen, nil
}

// frozen is what goes into the grant of a revision, so that its member renders it without looking at what may change: see
// render.Freeze and plan.Parts.
func (s scene) frozen(revision, cluster string) (*v1alpha1.Frozen, error) {
	f := s.freezer
	if f.name != revision {
		r, err := revisionIn(s.view, revision)
		if err != nil {
			return nil, err
		}
		f.name, f.revision = revision, r.Spec
	}
	content := f.revision.BundleContent
	if len(content.Overrides)+len(content.Division) == 0 {
		f.revision.Manifests = nil // megabytes that nobody asks for
		return nil, nil
	}
	i := slices.IndexFunc(s.plan.Clusters, func(c v1alpha1.Cluster) bool { return c.Name == cluster })
	if i < 0 {
		return nil, fmt.Errorf("freeze %s for %s: the fleet has no such cluster", revision, cluster)
	}
	frozen := render.Freeze(content, &s.plan.Clusters[i], s.plan.Metrics[cluster])
	if len(content.Division) == 0 {
		return frozen, nil
	}
	var err error
	frozen.Divided, err = s.parts(cluster)
	return frozen, err
}

// parts are the cluster's of the divisions of the revision that was read last.
func (s scene) parts(cluster string) ([]int32, error) {
	f := s.freezer
	name := f.revision.Bundle
	i := slices.IndexFunc(s.bundles, func(b decoded.Object[v1alpha1.Bundle]) bool { return b.Value.Name == name })
	if i < 0 {
		return nil, fmt.Errorf("divide %s: there is no bundle %s", f.name, name)
	}
	b := s.bundles[i].Value
	ground := s.plan.Ground(b.Name)
	ground.Has[cluster] = true // it is about to be granted, whoever else would be picked by now
	picked, err := plan.Picks(b.Spec.Placement, ground)
	if err != nil {
		return nil, err
	}
	p := plan.Parting{
		Placement: b.Spec.Placement, Division: f.revision.Division, Wholes: render.Wholes(f.revision.BundleContent), Revision: f.name,
		Picked: picked, Ground: ground, Grants: s.plan.Grants[name],
	}
	return plan.Parts(p, cluster), nil
}

func revisionIn(v *store.View, name string) (r v1alpha1.BundleRevision, err error) {
	kv, ok := v.Get(v1alpha1.KeyBundleRevisions + name)
	if !ok {
		return r, fmt.Errorf("revision %s is granted but not in the log", name)
	}
	if err := json.Unmarshal(kv.Value, &r); err != nil {
		return r, fmt.Errorf("read %s: %w", law.Thing(kv.Key), err)
	}
	return r, nil
}
