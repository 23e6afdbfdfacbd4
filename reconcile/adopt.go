package reconcile

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/compare"
	"github.com/hanse-fleet/hanse/plan"
)

// mayTake says what speaks against taking over an object of somebody else; nothing does when that is zero.
func (b *bundle) mayTake(ctx context.Context, o *object, live sighting) (problem, error) {
	switch plan.TakingOver(b.grant.Adopt, b.had(o), b.s.isGranted(live.bundle)) {
	case plan.Takes:
		return problem{}, nil
	case plan.TakesEqual:
		return b.mustEqual(ctx, o)
	}
	return problem{ReasonConflict, conflictMessage(live, b.label)}, nil
}

// had says that the bundle applied the object before.
func (b *bundle) had(o *object) bool { return b.inv.entries[o.key].uid != "" || o.applied != nil }

// mustEqual lets the cluster say what applying would make of an object, and refuses to when that changes a field. Should the
// object change before it is applied, then the version that is written is not the one that is there.
func (b *bundle) mustEqual(ctx context.Context, o *object) (problem, error) {
	live, err := b.resource(o).Get(ctx, o.key.name, metav1.GetOptions{})
	if err != nil {
		return problem{}, err
	}
	seen := sight(live)
	dry, err := b.patch(ctx, o, &seen, metav1.PatchOptions{Force: new(true), DryRun: []string{metav1.DryRunAll}})
	if err != nil {
		return problem{}, err
	}
	fields := compare.Fields(*live, *dry)
	if len(fields) == 0 {
		return problem{}, nil
	}
	return problem{ReasonConflict, unequalMessage(seen, fields)}, nil
}

func unequalMessage(live sighting, fields []compare.Field) string {
	return fmt.Sprintf("it exists already%s, and is otherwise than the bundle says in %s; make the two equal there, or set the bundle's adopt to Always to overwrite it",
		managedBy(live), compare.Paths(fields))
}
