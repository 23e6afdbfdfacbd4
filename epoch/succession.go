package epoch

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/law"
)

// Succession is what a new epoch begins with. One member goes on, the heir; every other one is out, and its pin can never
// come back. Their clusters stay as they are on record, without a member, until they join again. Tokens are void. The
// fleet only looks, until a person says go.
type Succession struct {
	Heir store.Member
	// Zone is the heir's, and may be empty.
	Zone string
	// Version of hanse that the heir runs.
	Version string
	Reason  v1alpha1.ObservingReason
	// Recipient is that of the key which the heir has; "" when it makes one as it starts.
	Recipient string
	// Lost are the clusters whose members are lost for good, and their keys with them. The others may bring theirs when they join again, and count as
	// who reads meanwhile.
	Lost []string
	// Renamed says that the fleet gets another name: no member opens a key that was wrapped under the one before.
	Renamed bool
	// Meta is of the heir's cluster, should it be new. Its creation is the time of the epoch's beginning.
	Meta metav1.ObjectMeta
}

// Ops is the epoch's first transaction.
func (s Succession) Ops(v *store.View) ([]store.Op, error) {
	ops := []store.Op{store.PutMember(s.Heir)}
	for _, m := range v.Members() {
		if m.ID != s.Heir.ID {
			ops = append(ops, store.RemoveMember(m, s.Meta.CreationTimestamp.Time)...)
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
	looking, err := s.looking(v)
	left := law.Leavings(v, v1alpha1.KeyClusters+s.Heir.Cluster) // of one of its name, should the fleet have removed that
	return slices.Concat(ops, clusters, looking, left), err
}

// looking makes every cluster only look, the heir's too, whatever was said in an earlier epoch.
func (s Succession) looking(v *store.View) (ops []store.Op, err error) {
	record := v1alpha1.Observing{Reason: s.Reason, Since: s.Meta.CreationTimestamp.UTC().Truncate(time.Second)}
	names := map[string]bool{s.Heir.Cluster: true}
	for _, kv := range v.List(v1alpha1.KeyClusters) {
		names[kv.Key[len(v1alpha1.KeyClusters):]] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		op, err := law.Put(v1alpha1.KeyObserving+name, record)
		if err != nil {
			return nil, err
		}
		ops = append(ops, op)
	}
	return ops, nil
}

// clusters takes the members from the clusters' records, and makes the heir's its own.
func (s Succession) clusters(v *store.View) (ops []store.Op, err error) {
	terms := law.Terms{Cluster: s.Heir.Cluster, Region: s.Heir.Region, Zone: s.Zone, Voting: v1alpha1.VotingEligible, Rights: v1alpha1.RightsAdmin}
	own := NewCluster(s.Meta, terms, s.Heir, s.Version)
	own.Status.Recipient = s.Recipient
	op, err := law.Put(v1alpha1.KeyClusters+own.Name, own)
	if err != nil {
		return nil, err
	}
	ops = []store.Op{op}
	for _, kv := range v.List(v1alpha1.KeyClusters) {
		var before v1alpha1.Cluster
		if err := json.Unmarshal(kv.Value, &before); err != nil {
			return nil, fmt.Errorf("read %s: %w", law.Thing(kv.Key), err)
		}
		op, err := law.Amend(kv, &before, s.after(before, own))
		if err != nil {
			return nil, err
		}
		if op.Key == ops[0].Key {
			ops[0] = op
		} else if !bytes.Equal(op.Value, kv.Value) {
			ops = append(ops, op)
		}
	}
	return ops, nil
}

// after is what a cluster on record becomes: the heir's has a new member, every other has none.
func (s Succession) after(c v1alpha1.Cluster, own *v1alpha1.Cluster) *v1alpha1.Cluster {
	was := c.Status
	if c.Name != own.Name {
		c.Status = v1alpha1.ClusterStatus{Version: was.Version, KubernetesVersion: was.KubernetesVersion, Conditions: was.Conditions}
		if !s.Renamed && !slices.Contains(s.Lost, c.Name) {
			c.Status.Recipient = was.Recipient
		}
		return &c
	}
	c.ObjectMeta = *c.ObjectMeta.DeepCopy()
	c.Spec.Region, c.Spec.Zone, c.Spec.Voting, c.Spec.Rights = own.Spec.Region, own.Spec.Zone, own.Spec.Voting, own.Spec.Rights
	c.Status = own.Status
	if was.Incarnation == own.Status.Incarnation && was.Recipient == own.Status.Recipient { // it has signed it
		c.Status.RecipientSignature, c.Status.RecipientSince = was.RecipientSignature, was.RecipientSince
	}
	v1alpha1.MirrorTopology(&c)
	return &c
}

// Renamed moves the fleet's settings to another name.
func Renamed(v *store.View, fleet string) (ops []store.Op, err error) {
	for _, kv := range v.List(v1alpha1.KeyFleets) {
		var before v1alpha1.Fleet
		if err := json.Unmarshal(kv.Value, &before); err != nil {
			return nil, fmt.Errorf("read %s: %w", law.Thing(kv.Key), err)
		}
		if before.Name == fleet {
			continue
		}
		after := before
		after.Name = fleet
		op, err := law.Amend(store.KV{Key: v1alpha1.KeyFleets + fleet, Value: kv.Value}, &before, &after)
		if err != nil {
			return nil, err
		}
		ops = append(ops, store.Delete(kv.Key), op)
	}
	return ops, nil
}

// Beginning is what a person needs to know after a restore or a recovery.
type Beginning struct {
	Fleet, Cluster, Region string
	Epoch                  store.Epoch
	// Waiting are the clusters on record that have no member now. Keyed are those of them whose keys opened what is sealed for some group.
	Waiting, Keyed []string
	// Users, and Recovery, the keys of recovery recipients with whose they are, are as the state has them: what was revoked after it is not.
	Users, Recovery []string
}

// Begun fills in what the new epoch's state says. The one member is of b.Cluster.
func Begun(v *store.View, b Beginning) Beginning {
	b.Epoch, b.Waiting, b.Keyed = v.Epoch(), nil, nil
	for _, kv := range v.List(v1alpha1.KeyClusters) {
		if name := kv.Key[len(v1alpha1.KeyClusters):]; name != b.Cluster {
			b.Waiting = append(b.Waiting, name)
		}
	}
	slices.Sort(b.Waiting)
	for _, s := range law.SealedGroups(v) {
		for _, o := range s.Openers {
			if slices.Contains(b.Waiting, o.Cluster) {
				b.Keyed = append(b.Keyed, o.Cluster)
			}
		}
	}
	slices.Sort(b.Keyed)
	b.Keyed = slices.Compact(b.Keyed)
	b.Users, b.Recovery = usersIn(v), recoveryIn(v)
	return b
}

// usersIn are the people of a state, each with the role: anna (Admin).
func usersIn(v *store.View) (users []string) {
	for _, kv := range v.List(v1alpha1.KeyUsers) {
		var u v1alpha1.User
		if json.Unmarshal(kv.Value, &u) == nil {
			users = append(users, fmt.Sprintf("%s (%s)", u.Name, u.Spec.Role))
		}
	}
	slices.Sort(users)
	return users
}

// recoveryIn are the recovery recipients of a state, by the IDs of their keys: 5f2c… of the fleet, 91aa… of group readers.
func recoveryIn(v *store.View) (recipients []string) {
	say := func(of string, all []string) {
		for _, r := range all {
			recipients = append(recipients, v1alpha1.KeyID(r)+" of "+of)
		}
	}
	for _, kv := range v.List(v1alpha1.KeyFleets) {
		var f v1alpha1.Fleet
		if json.Unmarshal(kv.Value, &f) == nil {
			say("the fleet", f.Spec.RecoveryRecipients)
		}
	}
	for _, kv := range v.List(v1alpha1.KeyRecipientGroups) {
		var g v1alpha1.RecipientGroup
		if json.Unmarshal(kv.Value, &g) == nil {
			say("group "+g.Name, g.Spec.RecoveryRecipients)
		}
	}
	return recipients
}
