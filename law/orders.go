package law

import (
	"encoding/json"
	"reflect"

	strictjson "sigs.k8s.io/json"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// Bounds of what people order: a list of clusters or fault domains, a name in it, and all of it as JSON.
const (
	maxOrdered   = 4096
	maxOrderName = 253
	maxOrders    = 128 << 10
)

// orders says that a person tells a rollout how to go on, and changes nothing else of it: what is granted, and when, the leader
// decides. Nobody lets a rollout go on after a stop that has not been yet, or lets it delete what it does not say it would.
func (w write) orders() bool {
	var before, after v1alpha1.Rollout
	if w.op.Delete || w.before == nil || !w.asker.operator() || json.Unmarshal(w.before, &before) != nil || json.Unmarshal(w.op.Value, &after) != nil {
		return false
	}
	if !bounded(after) || !deletesAsTold(before, after) {
		return false
	}
	was, _, ok := orderless(w.before)
	is, orders, sound := orderless(w.op.Value)
	return ok && sound && orders <= maxOrders && reflect.DeepEqual(was, is)
}

// bounded says that orders are within their bounds, and their lists sets.
func bounded(r v1alpha1.Rollout) bool {
	o := r.Spec.Orders
	if o.Resumed < 0 || o.Resumed > r.Status.Stops {
		return false
	}
	for _, list := range [][]string{o.Despite, o.DespiteGates, o.Without, o.Approved, o.Stages} {
		seen := map[string]bool{}
		for _, name := range list {
			if len(name) > maxOrderName || seen[name] {
				return false
			}
			seen[name] = true
		}
		if len(list) > maxOrdered {
			return false
		}
	}
	return true
}

// deletesAsTold says that each deletion that is approved anew is one that the rollout tells of.
func deletesAsTold(before, after v1alpha1.Rollout) bool {
	told := map[string]int32{}
	if d := before.Status.Deletions; d != nil {
		for _, c := range d.Clusters {
			told[c.Name] = c.Objects
		}
	}
	for cluster, n := range after.Spec.Orders.Deletions {
		if was, said := before.Spec.Orders.Deletions[cluster]; said && was == n {
			continue
		}
		if most, said := told[cluster]; !said || n < 0 || n > most {
			return false
		}
	}
	return true
}

// orderless is a rollout without its orders, and without what the API writes with them, and how many bytes the orders are. Who wrote it
// last may have written its fields in another order.
func orderless(value []byte) (whole map[string]any, size int, ok bool) {
	if twice, err := strictjson.UnmarshalStrict(value, &whole); err != nil || len(twice) > 0 {
		return nil, 0, false
	}
	spec, specOK := whole["spec"].(map[string]any)
	metadata, metadataOK := whole["metadata"].(map[string]any)
	orders, err := json.Marshal(spec["orders"])
	if err != nil {
		return nil, 0, false
	}
	delete(spec, "orders")
	delete(metadata, "generation")
	delete(metadata, "managedFields")
	return whole, len(orders), specOK && metadataOK
}
