package agent

import (
	"cmp"
	"encoding/json"
	"fmt"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/law"
)

// vacant says that a token lets a new member into a cluster that the fleet has on record, and that has no member, or
// one whose place the new one takes. A new epoch leaves such clusters. The token must name the cluster, so an admin has meant it.
func vacant(v *store.View, token law.Token, cluster string) bool {
	if token.Cluster != cluster {
		return false
	}
	for _, m := range v.Members() {
		if m.Cluster == cluster && !token.Replace {
			return false
		}
	}
	_, there := v.Get(v1alpha1.KeyClusters + cluster)
	return there
}

// onRecord fills in what the joiner of a vacant cluster does not say, and the fleet knows.
func onRecord(v *store.View, token law.Token, joiner law.Terms) law.Terms {
	if !vacant(v, token, joiner.Cluster) {
		return joiner
	}
	region, zone := regionAndZone(v, joiner.Cluster)
	joiner.Region, joiner.Zone = cmp.Or(joiner.Region, region), cmp.Or(joiner.Zone, zone)
	return joiner
}

// takeOver makes a cluster that is on record go on with its new member: labels, rights and whether it votes stay as admins
// have set them. The op writes the cluster, new or not, and the condition is what must still hold.
func takeOver(v *store.View, cluster *v1alpha1.Cluster, m *store.Member) (store.Condition, store.Op, error) {
	key := v1alpha1.KeyClusters + cluster.Name
	kv, there := v.Get(key)
	if !there {
		op, err := law.Put(key, cluster)
		return store.KeyAbsent(key), op, err
	}
	var old v1alpha1.Cluster
	if err := json.Unmarshal(kv.Value, &old); err != nil {
		return store.Condition{}, store.Op{}, fmt.Errorf("read %s: %w", key, err)
	}
	region, zone := cluster.Spec.Region, cluster.Spec.Zone
	cluster.ObjectMeta, cluster.Spec = *old.ObjectMeta.DeepCopy(), old.Spec
	cluster.Spec.Region, cluster.Spec.Zone = region, zone
	v1alpha1.MirrorTopology(cluster)
	m.Eligible, m.Rights = old.Spec.Voting == v1alpha1.VotingEligible, string(old.Spec.Rights)
	op, err := law.Amend(kv, old, cluster)
	return store.KeyAt(key, kv.Modified), op, err
}
