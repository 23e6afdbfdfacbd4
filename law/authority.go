package law

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	strictjson "sigs.k8s.io/json"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// Authority is the law of who may write what, checked by every member when a command is applied. It is pure: the
// same state and command give the same answer everywhere, so any change to it needs a new version in the log.
//
// A person's write is allowed when both the person's role and the rights of the member that passed it on allow
// it. The leader's own decisions are allowed everything: a voter is trusted with the integrity of the fleet.
type Authority struct {
	// Address says whether a text is the address of a member, host:port. Required; whoever carries streams knows it.
	Address func(string) error
}

// write is one op of a transaction, with all that the law looks at.
type write struct {
	asker  asker
	op     store.Op
	before []byte // nil: the key is new
	txn    store.Txn
	view   *store.View // before the transaction
	read   bundles
	law    Authority
}

// asker is who wants to write.
type asker struct {
	cluster string // of the member that proposes
	rights  v1alpha1.Rights
	person  string        // empty: the member itself
	role    v1alpha1.Role // of the person; Admin for the member itself
	leading bool
}

// Authorize implements store.Authorizer.
func (l Authority) Authorize(v *store.View, who store.Asker, txn store.Txn) error {
	if len(v.Members()) == 0 {
		return nil // the founding transaction
	}
	a, err := identify(v, who)
	if err != nil {
		return err
	}
	if a.leading {
		return nil
	}
	read := bundles{}
	for _, op := range txn.Then {
		w := write{asker: a, op: op, txn: txn, view: v, read: read, law: l}
		if kv, ok := v.Get(op.Key); ok {
			w.before = kv.Value
		}
		if !w.allowed() {
			return fmt.Errorf("%s may not %s %s", a, w.verb(), op.Key)
		}
	}
	return nil
}

func identify(v *store.View, who store.Asker) (asker, error) {
	m, ok := v.Member(who.Member)
	if !ok {
		return asker{}, fmt.Errorf("%s is not a member", who.Member)
	}
	a := asker{cluster: m.Cluster, rights: v1alpha1.Rights(m.Rights), person: who.Person, leading: who.Leading, role: v1alpha1.RoleAdmin}
	if who.Person == "" {
		return a, nil
	}
	kv, ok := v.Get(v1alpha1.KeyUsers + who.Person)
	if !ok {
		return asker{}, fmt.Errorf("there is no user %s", who.Person)
	}
	var u v1alpha1.User
	if err := json.Unmarshal(kv.Value, &u); err != nil {
		return asker{}, fmt.Errorf("read user %s: %w", who.Person, err)
	}
	a.role, a.leading = u.Spec.Role, false
	return a, nil
}

func (a asker) String() string {
	if a.person == "" {
		return fmt.Sprintf("member %s (rights %s)", a.cluster, a.rights)
	}
	return fmt.Sprintf("%s (role %s) through member %s (rights %s)", a.person, a.role, a.cluster, a.rights)
}

func (a asker) admin() bool {
	return a.rights == v1alpha1.RightsAdmin && a.role == v1alpha1.RoleAdmin
}

func (a asker) operator() bool {
	return a.rights == v1alpha1.RightsAdmin && (a.role == v1alpha1.RoleAdmin || a.role == v1alpha1.RoleOperator)
}

func (w write) verb() string {
	switch {
	case w.op.Delete:
		return "delete"
	case w.before == nil:
		return "create"
	}
	return "update"
}

// allowed is the table of the law: a row a prefix.
func (w write) allowed() bool {
	prefix, name := splitKey(w.op.Key)
	switch prefix {
	case v1alpha1.KeyFleets, v1alpha1.KeyUsers, KeyTokens:
		return w.asker.admin()
	case v1alpha1.KeyClusters:
		return w.asker.admin() && w.before != nil || name == w.asker.cluster && w.onlyOwnStatus()
	case store.KeyMembers:
		return w.op.Delete && w.asker.admin() || w.onlyOwnAddresses() || w.followsCluster()
	case store.KeyRemoved:
		return w.before == nil && w.asker.admin()
	case v1alpha1.KeyBundles:
		return w.soundBundle(name) && (w.asker.operator() || w.ownBundle())
	case v1alpha1.KeyBundleRevisions:
		return w.before == nil && w.withBundle()
	case v1alpha1.KeyGrants:
		return w.strikesGrant(name) || w.op.Delete && w.removesCluster(name)
	case v1alpha1.KeyTombstones:
		return w.buries() || w.strikesTombstone() || w.asker.admin() && w.removesAnyCluster()
	}
	return false
}

// splitKey splits "/bundles/shop" into "/bundles/" and "shop".
func splitKey(key string) (prefix, name string) {
	if i := strings.IndexByte(strings.TrimPrefix(key, "/"), '/'); i >= 0 {
		return key[:i+2], key[i+2:]
	}
	return key, ""
}

// Bounds of what a member says of itself: every other member reads it.
const (
	maxOwnStatus    = 64 << 10
	maxOwnText      = 512
	maxOwnAddresses = 16
)

// onlyOwnStatus says that a member changes what it says of itself, in a form that every reader takes, and neither its
// spec and labels nor what the leader decided about it.
func (w write) onlyOwnStatus() bool {
	if w.op.Delete || w.before == nil || w.asker.person != "" || len(w.op.Value) > maxOwnStatus {
		return false
	}
	var before, after map[string]any
	if _, err := strictjson.UnmarshalStrict(w.before, &before); err != nil {
		return false
	}
	// A key that is there twice is read differently by different readers.
	if twice, err := strictjson.UnmarshalStrict(w.op.Value, &after); err != nil || len(twice) > 0 {
		return false
	}
	return w.law.ownPartSound(after) && reflect.DeepEqual(othersPart(before), othersPart(after))
}

// ownPartSound checks the form of what a member says of itself.
func (l Authority) ownPartSound(cluster map[string]any) bool {
	status, ok := cluster["status"].(map[string]any)
	if !ok {
		return cluster["status"] == nil
	}
	for _, own := range ownTexts {
		if text, ok := status[own].(string); status[own] != nil && (!ok || len(text) > maxOwnText) {
			return false
		}
	}
	if status[ownEndpoints] == nil {
		return true
	}
	list, ok := status[ownEndpoints].([]any)
	var addresses []string
	for _, e := range list {
		text, isText := e.(string)
		ok = ok && isText
		addresses = append(addresses, text)
	}
	return ok && l.soundAddresses(addresses)
}

// soundAddresses are a bounded number of host:port.
func (l Authority) soundAddresses(addresses []string) bool {
	return len(addresses) <= maxOwnAddresses && !slices.ContainsFunc(addresses, func(a string) bool {
		return l.Address(a) != nil
	})
}

// onlyOwnAddresses says that a member changes where it is reached, and nothing else of its record.
func (w write) onlyOwnAddresses() bool {
	var before, after store.Member
	if w.op.Delete || w.before == nil || w.asker.person != "" ||
		json.Unmarshal(w.before, &before) != nil || json.Unmarshal(w.op.Value, &after) != nil {
		return false
	}
	if !w.law.soundAddresses(after.Addresses) || len(after.Server) > maxOwnText {
		return false
	}
	before.Addresses, before.Server = after.Addresses, after.Server
	return before.Cluster == w.asker.cluster && reflect.DeepEqual(before, after)
}

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

// What a member says of itself in the status of its Cluster.
var ownTexts = []string{"server", "version", "kubernetesVersion"}

const ownEndpoints = "endpoints"

// othersPart drops from a Cluster what its own member may write.
func othersPart(cluster map[string]any) map[string]any {
	if status, ok := cluster["status"].(map[string]any); ok {
		delete(status, ownEndpoints)
		for _, own := range ownTexts {
			delete(status, own)
		}
		if len(status) == 0 {
			delete(cluster, "status")
		}
	}
	return cluster
}

// soundBundle says that what is written is the bundle that its key names, and no other bundle in its place: decisions
// are taken by what the value says.
func (w write) soundBundle(name string) bool {
	if w.op.Delete {
		return true
	}
	b, ok := w.read.in(w.op.Value)
	if !ok || b.Name != name || b.Kind != "Bundle" || b.APIVersion != v1alpha1.SchemeGroupVersion.String() || b.UID == "" {
		return false
	}
	if w.before == nil {
		return true
	}
	old, ok := w.read.in(w.before)
	return ok && b.UID == old.UID && b.Generation >= old.Generation
}

// bundles remembers the bundles of one transaction: one may be megabytes, and several rows of the law read it.
type bundles map[*byte]*v1alpha1.Bundle

// in reads a bundle; !ok is one that cannot be read.
func (r bundles) in(value []byte) (b *v1alpha1.Bundle, ok bool) {
	if len(value) == 0 {
		return nil, false
	}
	if b, known := r[&value[0]]; known {
		return b, b != nil
	}
	b = &v1alpha1.Bundle{}
	if json.Unmarshal(value, b) != nil {
		b = nil
	}
	r[&value[0]] = b
	return b, b != nil
}

// ownBundle says that a member with the right OwnObjects writes a bundle that, before and after, is for itself alone.
func (w write) ownBundle() bool {
	if w.asker.rights != v1alpha1.RightsOwnObjects || w.asker.role == v1alpha1.RoleViewer {
		return false
	}
	return (w.before == nil || w.targetsOwn(w.before)) && (w.op.Delete || w.targetsOwn(w.op.Value))
}

func (w write) targetsOwn(bundle []byte) bool {
	b, ok := w.read.in(bundle)
	return ok && b.Spec.Placement.ClusterSelector == nil && slices.Equal(b.Spec.Placement.Clusters, []string{w.asker.cluster})
}

// withBundle says that the transaction writes the very bundle, at the very generation, whose content this revision
// keeps: the law of that write decides.
func (w write) withBundle() bool {
	var r v1alpha1.BundleRevision
	if w.op.Delete || json.Unmarshal(w.op.Value, &r) != nil {
		return false
	}
	return slices.ContainsFunc(w.txn.Then, func(op store.Op) bool {
		if op.Key != v1alpha1.KeyBundles+r.Spec.Bundle || op.Delete {
			return false
		}
		b, ok := w.read.in(op.Value)
		return ok && w.op.Key == v1alpha1.KeyBundleRevisions+r.Name && keeps(&r, b)
	})
}

// keeps says that a revision is what a bundle says now.
func keeps(r *v1alpha1.BundleRevision, b *v1alpha1.Bundle) bool {
	return r.Name == v1alpha1.RevisionName(b.Name, string(b.UID), b.Generation) && r.Spec.Bundle == b.Name &&
		r.Spec.BundleUID == string(b.UID) && r.Spec.Generation == b.Generation &&
		equality.Semantic.DeepEqual(r.Spec.BundleContent, b.Spec.BundleContent)
}

// strikesGrant says that a member removes its own grant after it has withdrawn the bundle.
func (w write) strikesGrant(name string) bool {
	var g v1alpha1.Grant
	return w.op.Delete && w.asker.person == "" && strings.HasPrefix(name, w.asker.cluster+"/") && w.before != nil &&
		json.Unmarshal(w.before, &g) == nil && g.Withdraw
}

// removesCluster says that an admin's transaction removes the cluster whose grant this is.
func (w write) removesCluster(grant string) bool {
	cluster, _, _ := strings.Cut(grant, "/")
	return w.asker.admin() && slices.ContainsFunc(w.txn.Then, func(op store.Op) bool {
		return op.Delete && op.Key == v1alpha1.KeyClusters+cluster
	})
}

func (w write) removesAnyCluster() bool {
	return slices.ContainsFunc(w.txn.Then, func(op store.Op) bool {
		return op.Delete && strings.HasPrefix(op.Key, v1alpha1.KeyClusters)
	})
}

// buries says that the tombstone is new, and that the transaction deletes the very bundle it is of: the law of that
// write decides.
func (w write) buries() bool {
	var t v1alpha1.Tombstone
	if w.op.Delete || w.before != nil || json.Unmarshal(w.op.Value, &t) != nil || w.op.Key != v1alpha1.KeyTombstones+t.BundleUID {
		return false
	}
	kv, there := w.view.Get(v1alpha1.KeyBundles + t.Bundle)
	b, ok := w.read.in(kv.Value)
	return there && ok && string(b.UID) == t.BundleUID && slices.ContainsFunc(w.txn.Then, func(op store.Op) bool {
		return op.Key == kv.Key && op.Delete
	})
}

// strikesTombstone says that a member takes itself, and nobody else, off a tombstone; the last one deletes it.
func (w write) strikesTombstone() bool {
	var before, after v1alpha1.Tombstone
	if w.asker.person != "" || w.before == nil || json.Unmarshal(w.before, &before) != nil {
		return false
	}
	left := slices.DeleteFunc(slices.Clone(before.Clusters), func(c string) bool { return c == w.asker.cluster })
	if w.op.Delete {
		return len(left) == 0
	}
	return json.Unmarshal(w.op.Value, &after) == nil && after.Bundle == before.Bundle &&
		after.BundleUID == before.BundleUID && slices.Equal(after.Clusters, left)
}
