package law

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// Change is one key that somebody wants to write.
type Change struct {
	Key string
	// After is nil when the key is deleted, Before when it is not there yet.
	Before, After []byte
	// At is when it is asked for: what is removed says when it was, and so does the record.
	At  time.Time
	Who Who
}

// Companions says what else a transaction must write with a change that somebody asks for, and what it must find unchanged: a
// bundle brings its revision, a deleted bundle leaves a tombstone, a deleted cluster takes its member with it, a past takes
// the revision that it was, and each change is recorded, with what was before. The law refuses the change without them, and them when
// they are not just so. The error is a *store.Forbidden when the fleet could not go on after the change.
func Companions(v *store.View, c Change) ([]store.Condition, []store.Op, error) {
	read := bundles{}
	conditions, ops, err := companions(v, c, read)
	if prefix, _ := splitKey(c.Key); err != nil || remembered[prefix] == nothing {
		return conditions, ops, err
	}
	r, err := recordOf(v, c, read)
	if err != nil {
		return nil, nil, err
	}
	recorded, err := r.testified(c.Who, Plausible(c.At, v.Time())).ops(c)
	return conditions, append(ops, recorded...), err
}

func companions(v *store.View, c Change, read bundles) ([]store.Condition, []store.Op, error) {
	prefix, name := splitKey(c.Key)
	if prefix == v1alpha1.KeyClusters || prefix == v1alpha1.KeyFleets || prefix == v1alpha1.KeyRecipientGroups && c.After != nil {
		if err := strands(v, c); err != nil {
			return nil, nil, err
		}
	}
	switch {
	case slices.Contains(v1alpha1.RolledOutPrefixes, prefix) && c.After != nil:
		ops, err := revisionOf(v, c, read)
		return nil, ops, err
	case slices.Contains(v1alpha1.RolledOutPrefixes, prefix) && c.Before != nil:
		return bury(v, c, read)
	case prefix == v1alpha1.KeyRecipientGroups && c.After == nil:
		return unsealed(v, name)
	case prefix == v1alpha1.KeyRecipientGroups && c.Before == nil:
		return nil, nil, Anew(v, c.Key)
	case prefix == v1alpha1.KeyClusters && c.After != nil:
		return trust(v, name, c.After)
	case prefix == v1alpha1.KeyClusters:
		return dismiss(v, name, c.At)
	case prefix == v1alpha1.KeyPasts && c.Before != nil:
		return unwrite(v, name, c.Before, read)
	}
	return nil, nil, nil
}

// companions adds the op's companions to those of the transaction. What a member says of itself has none.
func (w write) companions() error {
	if w.ofItself {
		return nil
	}
	_, ops, err := companions(w.view, w.change(), w.read)
	for _, op := range ops {
		w.with[op.Key] = op
	}
	return err
}

func (w write) change() Change {
	c := Change{Key: w.op.Key, Before: w.before, After: w.op.Value}
	if !w.op.Delete && c.After == nil {
		c.After = []byte{} // not a deletion
	}
	return c
}

// accompanies says that the op is a companion of another one, just so: the law of that one decides.
func (w write) accompanies() bool {
	op, ok := w.with[w.op.Key]
	return ok && same(op, w.op)
}

// same says whether two ops do the same. When a member was removed is what its remover says.
func same(a, b store.Op) bool {
	if strings.HasPrefix(a.Key, store.KeyRemoved) {
		a.Value, b.Value = timeless(a.Value), timeless(b.Value)
	}
	return a.Key == b.Key && a.Delete == b.Delete && bytes.Equal(a.Value, b.Value)
}

func timeless(removed []byte) []byte {
	var r store.Removed
	if json.Unmarshal(removed, &r) != nil {
		return nil
	}
	return fmt.Append(nil, r.ID, r.Pin)
}

// revision is a BundleRevision as the law writes it, byte for byte: the content as it was written in the bundle, fields
// of a later version included, and no word that a library might write otherwise one day.
type revision struct {
	Kind       string `json:"kind"`
	APIVersion string `json:"apiVersion"`
	Metadata   struct {
		Name       string          `json:"name"`
		UID        string          `json:"uid"`
		Generation int64           `json:"generation"`
		Created    json.RawMessage `json:"creationTimestamp,omitempty"`
	} `json:"metadata"`
	Spec map[string]json.RawMessage `json:"spec"`
}

// revisionOf writes the BundleRevision of a bundle's generation, unless it is there already.
func revisionOf(v *store.View, c Change, read bundles) ([]store.Op, error) {
	b, ok := read.rolled(c.Key, c.After)
	if !ok {
		return nil, fmt.Errorf("%s is no bundle and no secret", Thing(c.Key))
	}
	r := revision{Kind: "BundleRevision", APIVersion: v1alpha1.SchemeGroupVersion.String(), Spec: maps.Clone(b.content)}
	r.Metadata.Name = v1alpha1.RevisionName(b.Name, string(b.UID), b.Generation)
	r.Metadata.UID = uuid.NewSHA1(uuid.NameSpaceOID, fmt.Appendf(nil, "%s/%d", b.UID, b.Generation)).String()
	r.Metadata.Generation, r.Metadata.Created = 1, b.metadata["creationTimestamp"]
	for field, value := range map[string]any{"bundle": b.Name, "bundleUID": b.UID, "generation": b.Generation} {
		r.Spec[field], _ = json.Marshal(value) // texts and a number
	}
	op, err := Put(v1alpha1.KeyBundleRevisions+r.Metadata.Name, r)
	if err != nil {
		return nil, err
	}
	if kv, there := v.Get(op.Key); there {
		if !bytes.Equal(kv.Value, op.Value) {
			return nil, fmt.Errorf("revision %s is there already and says something else", r.Metadata.Name)
		}
		return nil, nil
	}
	return []store.Op{op}, nil
}

// unwrite takes the revision of what a bundle was away with its past, so that it lies nowhere in the log any more. What runs
// somewhere stays: a member may have to read it again. What the bundle still says is in its present anyhow.
func unwrite(v *store.View, change string, past []byte, read bundles) ([]store.Condition, []store.Op, error) {
	var c v1alpha1.Change
	if kv, there := v.Get(v1alpha1.KeyChanges + change); !there || json.Unmarshal(kv.Value, &c) != nil {
		return nil, nil, nil
	}
	was, ok := read.rolled("/"+c.Spec.Resource+"/"+c.Spec.Name, past)
	if !ok {
		return nil, nil, nil // it made no revision
	}
	name := v1alpha1.RevisionName(was.Name, string(was.UID), was.Generation)
	if !v.Has(v1alpha1.KeyBundleRevisions + name) {
		return nil, nil, nil
	}
	kv, _ := v.Get(v1alpha1.RolledOutOf(was.Name).Key())
	if is, ok := read.rolled(kv.Key, kv.Value); ok && v1alpha1.RevisionName(is.Name, string(is.UID), is.Generation) == name {
		return []store.Condition{store.KeyAt(kv.Key, kv.Modified)}, nil, nil
	}
	grants, err := grantsOf(v, was.Name)
	if err != nil {
		return nil, nil, err
	}
	maps.DeleteFunc(grants, func(cluster string, g v1alpha1.Grant) bool {
		return g.Revision != name || !Standing(v, v1alpha1.GrantKey(cluster, was.Name))
	})
	if len(grants) > 0 {
		return nil, nil, &store.Forbidden{Reason: fmt.Sprintf("%s is still to run so in %s; wait until a later version is granted there, or remove the cluster",
			v1alpha1.RolledOutOf(was.Name).Title(), strings.Join(slices.Sorted(maps.Keys(grants)), ", "))}
	}
	if rollout := rolling(v, name); rollout != "" {
		return nil, nil, &store.Forbidden{Reason: fmt.Sprintf("rollout %s is still to grant it; wait until it has ended, or write a later version of %s", rollout, v1alpha1.RolledOutOf(was.Name).Title())}
	}
	if needs := OnlySource(v, name, mayRun(v)); needs != "" {
		return nil, nil, &store.Forbidden{Reason: fmt.Sprintf("what is sealed again of it alone opens %s, which has the very same values; wait until members of the group have sealed that again and confirmed it, or seal the values again and let that go through: hanse seal --group %s", needs, groupOf(v, name))}
	}
	conditions := []store.Condition{store.PrefixUnchanged(v1alpha1.KeyGrants, v.Revision()), store.PrefixUnchanged(v1alpha1.KeySealings+name, v.Revision())}
	return conditions, append(Unseal(v, name), store.Delete(v1alpha1.KeyBundleRevisions+name)), nil
}

// rolling is a rollout that has not ended and may still grant a revision: its own, or the last good one in its place.
func rolling(v *store.View, revision string) string {
	for _, kv := range v.List(v1alpha1.KeyRollouts) {
		var r v1alpha1.Rollout
		if json.Unmarshal(kv.Value, &r) != nil || r.Status.Phase.Ended() {
			continue
		}
		if r.Spec.Revision == revision || slices.ContainsFunc(r.Spec.Waves, func(w v1alpha1.Wave) bool { return w.Revision == revision }) {
			return strings.TrimPrefix(kv.Key, v1alpha1.KeyRollouts)
		}
	}
	return ""
}

// bury leaves a tombstone with every cluster that has a grant of the bundle. It holds only while no grant of any
// bundle changes, so no cluster is missed.
func bury(v *store.View, c Change, read bundles) ([]store.Condition, []store.Op, error) {
	b, ok := read.rolled(c.Key, c.Before)
	if !ok {
		return nil, nil, fmt.Errorf("%s is no bundle and no secret", Thing(c.Key))
	}
	grants, err := grantsOf(v, b.Name)
	if err != nil {
		return nil, nil, err
	}
	maps.DeleteFunc(grants, func(_ string, g v1alpha1.Grant) bool { return g.BundleUID != string(b.UID) })
	frozen := []store.Condition{store.PrefixUnchanged(v1alpha1.KeyGrants, v.Revision())}
	if len(grants) == 0 {
		return frozen, nil, nil
	}
	t := v1alpha1.Tombstone{Bundle: b.Name, BundleUID: string(b.UID), Clusters: slices.Sorted(maps.Keys(grants))}
	op, err := Put(v1alpha1.KeyTombstones+t.BundleUID, t)
	return frozen, []store.Op{op}, err
}

// trust keeps what the law reads of a member as admins say in its Cluster.
func trust(v *store.View, cluster string, after []byte) ([]store.Condition, []store.Op, error) {
	var c v1alpha1.Cluster
	if err := json.Unmarshal(after, &c); err != nil {
		return nil, nil, fmt.Errorf("cluster %s cannot be read", cluster)
	}
	for _, m := range v.Members() {
		next := m
		next.Region, next.Eligible, next.Rights = c.Spec.Region, c.Spec.Voting == v1alpha1.VotingEligible, string(c.Spec.Rights)
		if m.Cluster != cluster || next.Region == m.Region && next.Eligible == m.Eligible && next.Rights == m.Rights {
			continue
		}
		if next.Rights != string(v1alpha1.RightsAdmin) {
			if err := someAdminBut(v, cluster); err != nil {
				return nil, nil, &store.Forbidden{Reason: err.Error()}
			}
		}
		return []store.Condition{store.PrefixUnchanged(store.KeyMembers, v.Revision())}, []store.Op{store.PutMember(next)}, nil
	}
	return nil, nil, nil
}

// dismiss removes the member of a cluster: its pin goes, and with it every connection. The pin is remembered as removed, so
// that the member can be told. What the cluster was granted, and that tombstones wait for it, is nothing from then on, and the
// leader deletes it (Leavings): a cluster that was stolen is not to stay for being granted more than a transaction deletes.
func dismiss(v *store.View, cluster string, at time.Time) ([]store.Condition, []store.Op, error) {
	conditions := []store.Condition{store.PrefixUnchanged(store.KeyMembers, v.Revision())} // no two removals at once that were each allowed alone
	var ops []store.Op
	if err := dispensable(v, cluster); errors.As(err, new(*Votes)) {
		return nil, nil, err
	} else if err != nil {
		return nil, nil, &store.Forbidden{Reason: err.Error()}
	}
	for _, m := range v.Members() {
		if m.Cluster != cluster {
			continue
		}
		ops = append(ops, store.RemoveMember(m, at)...)
	}
	if kv, looks := v.Get(v1alpha1.KeyObserving + cluster); looks {
		ops = append(ops, store.Delete(kv.Key))
	}
	return conditions, ops, nil
}

// Votes is why a cluster is not removed at once that votes, when nothing else is in the way: once others vote in its place, it may be.
type Votes struct{ forbidden *store.Forbidden }

func votes(format string, args ...any) error {
	return &Votes{&store.Forbidden{Reason: fmt.Sprintf(format, args...)}}
}

func (v *Votes) Error() string { return v.forbidden.Error() }

// Unwrap is the *store.Forbidden that it is as well.
func (v *Votes) Unwrap() error { return v.forbidden }

// Cause tells clients, who then give its vote to others first.
func (v *Votes) Cause() metav1.CauseType { return "Votes" }

// dispensable says whether a fleet can go on without a cluster, its member cut off at once. One that votes is not: raft
// would go on counting a voter that nobody hears, and with another one lost as well, nobody could decide. The leader gives
// its vote to others first, and says in the status that it has.
func dispensable(v *store.View, cluster string) error {
	if err := someAdminBut(v, cluster); err != nil {
		return err
	}
	var c v1alpha1.Cluster
	kv, _ := v.Get(v1alpha1.KeyClusters + cluster)
	if err := json.Unmarshal(kv.Value, &c); err != nil {
		return fmt.Errorf("cluster %s cannot be read", cluster)
	}
	if c.Status.Voter == v1alpha1.RoleVoter {
		return votes("%s votes; set its spec.voting to Never, and delete it once its status.voter is Nonvoter (hanse remove %s does both)", cluster, cluster)
	}
	return nil
}

// someAdminBut fails when no member but that of the cluster may pass on what admins write.
func someAdminBut(v *store.View, cluster string) error {
	for _, m := range v.Members() {
		if m.Cluster != cluster && m.Rights == string(v1alpha1.RightsAdmin) {
			return nil
		}
	}
	return errors.New("no other cluster has the rights Admin, so nobody could change the fleet any more; give them to another first: kubectl edit clusters." + v1alpha1.GroupName)
}

// Strike takes a cluster off a tombstone; the last one deletes it.
func Strike(tombstone store.KV, cluster string) (op store.Op, changed bool, err error) {
	var t v1alpha1.Tombstone
	if err := json.Unmarshal(tombstone.Value, &t); err != nil {
		return op, false, fmt.Errorf("%s cannot be read", Thing(tombstone.Key))
	}
	if !slices.Contains(t.Clusters, cluster) {
		return op, false, nil
	}
	t.Clusters = slices.DeleteFunc(t.Clusters, func(c string) bool { return c == cluster })
	if len(t.Clusters) == 0 {
		return store.Delete(tombstone.Key), true, nil
	}
	op, err = Put(tombstone.Key, t)
	return op, true, err
}

// grantsOf returns the grants of a bundle's name, by cluster. One that cannot be read grants nothing to a cluster that is not there.
func grantsOf(v *store.View, bundle string) (map[string]v1alpha1.Grant, error) {
	grants := map[string]v1alpha1.Grant{}
	for _, kv := range v.List(v1alpha1.KeyGrants) {
		cluster, name := v1alpha1.CutGrantKey(kv.Key)
		if name != bundle {
			continue
		}
		var g v1alpha1.Grant
		switch err := json.Unmarshal(kv.Value, &g); {
		case err == nil:
			grants[cluster] = g
		case Standing(v, kv.Key):
			return nil, fmt.Errorf("%s cannot be read", Thing(kv.Key))
		}
	}
	return grants, nil
}

// Put is the op that writes a value as JSON.
func Put(key string, value any) (store.Op, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return store.Op{}, fmt.Errorf("encode %s: %w", Thing(key), err)
	}
	return store.Put(key, data), nil
}
