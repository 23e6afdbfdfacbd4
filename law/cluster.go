package law

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// followsCluster says that an admin's transaction changes how far a member is trusted, together with its Cluster.
func (w write) followsCluster() bool {
	var before, after store.Member
	if w.op.Delete || w.before == nil || !w.asker.admin() ||
		json.Unmarshal(w.before, &before) != nil || json.Unmarshal(w.op.Value, &after) != nil {
		return false
	}
	before.Region, before.Eligible, before.Rights = after.Region, after.Eligible, after.Rights
	return reflect.DeepEqual(before, after) && slices.ContainsFunc(w.txn.Then, func(op store.Op) bool {
		return op.Key == v1alpha1.KeyClusters+after.Cluster && !op.Delete
	})
}

// removesCluster says that an admin's transaction removes the cluster whose grant this is.
func (w write) removesCluster() bool {
	cluster, _, _ := strings.Cut(w.name, "/")
	return w.asker.admin() && slices.ContainsFunc(w.txn.Then, func(op store.Op) bool {
		return op.Delete && op.Key == v1alpha1.KeyClusters+cluster
	})
}

func (w write) removesAnyCluster() bool {
	return slices.ContainsFunc(w.txn.Then, func(op store.Op) bool {
		return op.Delete && strings.HasPrefix(op.Key, v1alpha1.KeyClusters)
	})
}
