package reconcile

import (
	"reflect"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// goesOn says that a grant is the next of what is carried out: what was applied for the one before, and is the same in both, is applied.
// What is only compared is not known so well.
func (b *bundle) goesOn(g Grant) bool {
	return (b.phase == rolling || b.phase == tending) && b.damaged == "" && b.grant.BundleUID == g.BundleUID &&
		b.grant.Drift == v1alpha1.DriftCorrect && g.Drift == v1alpha1.DriftCorrect
}

// leavesSome says that something that is listed may have left the bundle. It is pruned by what lies in the cluster, and not by what
// this session believes to have written there.
func (b *bundle) leavesSome() bool {
	wanted := make(map[key]bool, len(b.objects))
	for _, o := range b.objects {
		wanted[o.key] = true
	}
	for k := range b.inv.entries {
		if !wanted[k] {
			return true
		}
	}
	return false
}

// spare leaves the objects alone that the grant before applied as this one wants them, and that nobody touched since.
func (b *bundle) spare() {
	for _, o := range b.objects {
		old := b.before[o.key]
		if old == nil || b.wanted[o.key] != o || !stands(old, o, b.s.tracker.get(o.key), b.label, b.s.isGranted) {
			continue
		}
		o.applied, o.todo = old.applied, nothing
	}
	b.before = nil
}

// stands says that an object is there as it was applied last, and is to be the same. Definitions and namespaces are waited for
// where they are applied, so one that is not usable yet is applied again.
func stands(old, o *object, seen *sighting, label string, granted func(string) bool) bool {
	switch {
	case o.todo != rollIn || !o.mapped || old.applied == nil || old.todo != nothing || old.problem.reason != "":
		return false
	case seen == nil || seen.deleting || judge(old.applied, seen, label, granted) != leave:
		return false
	case o.isDefinition() && seen.status != status.CurrentStatus:
		return false
	}
	return o.gvk == old.gvk && reflect.DeepEqual(o.manifest.Object, old.manifest.Object)
}
