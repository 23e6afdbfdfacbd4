package reconcile

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-fleet/hanse/plan"
)

// byStage sorts objects into the stages of applying, each parted by what its objects say of their order.
func byStage(objects []*object) (stages [][]*object) {
	place := func(o *object) [2]int { return [2]int{int(plan.StageOf(o.gvk.GroupKind())), o.order} }
	compare := func(a, b *object) int {
		x, y := place(a), place(b)
		return cmp.Or(slices.Compare(x[:], y[:]), compareKeys(a.key, b.key))
	}
	for _, o := range slices.SortedStableFunc(slices.Values(objects), compare) {
		last := len(stages) - 1
		if last < 0 || place(stages[last][0]) != place(o) {
			stages, last = append(stages, nil), last+1
		}
		stages[last] = append(stages[last], o)
	}
	return stages
}

// step is when an object is deleted: all of a step, before the next. It is the order of applying turned round, but
// custom resources go before the workloads: one of those may be the controller that has to let them go.
type step int

const (
	stepHooks step = iota
	stepCustom
	stepWorkloads
	stepFoundations
	stepDefinitions
	steps
)

func stepOf(gk schema.GroupKind, custom map[schema.GroupKind]bool) step {
	if custom[gk] {
		return stepCustom
	}
	switch plan.StageOf(gk) {
	case plan.StageHooks:
		return stepHooks
	case plan.StageFoundations:
		return stepFoundations
	case plan.StageDefinitions:
		return stepDefinitions
	}
	return stepWorkloads
}

// customKinds are the kinds among the keys that look like those of definitions among them: a definition is named
// PLURAL.GROUP, so its group is known without reading it.
func customKinds(keys []key) map[schema.GroupKind]bool {
	groups := map[string]bool{}
	for _, k := range keys {
		if k.GroupKind == kindDefinition {
			groups[groupOfDefinition(k.name)] = true
		}
	}
	out := map[schema.GroupKind]bool{}
	for _, k := range keys {
		if groups[k.Group] {
			out[k.GroupKind] = true
		}
	}
	return out
}

func groupOfDefinition(name string) string {
	for i := range name {
		if name[i] == '.' {
			return name[i+1:]
		}
	}
	return name
}
