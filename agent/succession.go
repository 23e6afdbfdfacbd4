package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/law"
)

// succession is what a new epoch begins with. One member goes on, the heir; every other one is out, and its pin can never
// come back. Their clusters stay as they are on record, without a member, until they join again. Tokens are void. The
// fleet only looks, until a person says go.
type succession struct {
	heir    store.Member
	zone    string
	version string
	reason  v1alpha1.ObservingReason
	now     time.Time
}

// ops is the epoch's first transaction.
func (s succession) ops(v *store.View) ([]store.Op, error) {
	ops := []store.Op{store.PutMember(s.heir)}
	for _, m := range v.Members() {
		if m.ID != s.heir.ID {
			ops = append(ops, store.RemoveMember(m, s.now)...)
		}
	}
	if _, ok := v.Get(v1alpha1.KeyBackups); ok { // what another epoch wrote is not this one's to delete
		ops = append(ops, store.Delete(v1alpha1.KeyBackups))
	}
	for _, kv := range v.List(law.KeyTokens) {
		ops = append(ops, store.Delete(kv.Key))
	}
	clusters, err := s.clusters(v)
	if err != nil {
		return nil, err
	}
	observing, err := law.Put(v1alpha1.KeyObserving, v1alpha1.Observing{Reason: s.reason, Since: s.now.UTC().Truncate(time.Second)})
	return append(append(ops, clusters...), observing), err
}

// clusters takes the members from the clusters' records, and makes the heir's its own.
func (s succession) clusters(v *store.View) (ops []store.Op, err error) {
	terms := law.Terms{Cluster: s.heir.Cluster, Region: s.heir.Region, Zone: s.zone, Voting: v1alpha1.VotingEligible, Rights: v1alpha1.RightsAdmin}
	own := newCluster(terms, s.heir, s.version)
	for _, kv := range v.List(v1alpha1.KeyClusters) {
		var c v1alpha1.Cluster
		if err := json.Unmarshal(kv.Value, &c); err != nil {
			return nil, fmt.Errorf("read %s: %w", kv.Key, err)
		}
		if c.Name == s.heir.Cluster {
			spec := own.Spec
			own.ObjectMeta, own.Spec = c.ObjectMeta, c.Spec
			own.Spec.Region, own.Spec.Zone, own.Spec.Voting, own.Spec.Rights = spec.Region, spec.Zone, spec.Voting, spec.Rights
			v1alpha1.MirrorTopology(own)
			continue
		}
		c.Status = v1alpha1.ClusterStatus{Version: c.Status.Version, KubernetesVersion: c.Status.KubernetesVersion, Conditions: c.Status.Conditions}
		op, err := law.Put(kv.Key, &c)
		if err != nil {
			return nil, err
		}
		ops = append(ops, op)
	}
	op, err := law.Put(v1alpha1.KeyClusters+own.Name, own)
	return append(ops, op), err
}

// renamed moves the fleet's settings to another name.
func renamed(v *store.View, fleet string) (ops []store.Op, err error) {
	var errs []error
	for _, kv := range v.List(v1alpha1.KeyFleets) {
		var f v1alpha1.Fleet
		if err := json.Unmarshal(kv.Value, &f); err != nil {
			return nil, fmt.Errorf("read %s: %w", kv.Key, err)
		}
		if f.Name == fleet {
			continue
		}
		f.Name = fleet
		op, err := law.Put(v1alpha1.KeyFleets+fleet, &f)
		ops, errs = append(ops, store.Delete(kv.Key), op), append(errs, err)
	}
	return ops, errors.Join(errs...)
}

// regionAndZone are those that a cluster has on record.
func regionAndZone(v *store.View, cluster string) (region, zone string) {
	kv, _ := v.Get(v1alpha1.KeyClusters + cluster)
	var c v1alpha1.Cluster
	if json.Unmarshal(kv.Value, &c) != nil {
		return "", ""
	}
	return c.Spec.Region, c.Spec.Zone
}
