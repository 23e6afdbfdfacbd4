package agent

import (
	"encoding/json"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"strings"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/apiserver"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/decoded"
	"github.com/hanse-fleet/hanse/law"
	"github.com/hanse-fleet/hanse/plan"
)

// claims says of a bundle that somebody writes whether it gets along with the others: whether another one brings the same object into
// the same cluster, or depends on it in turn. Placement is decided by expressions and by what members say, which applying the log must
// not look at; so whoever proposes finds out, and the write holds only while no bundle says anything else. Safe for concurrent use.
type claims struct {
	core *Core
	told *told

	mu    sync.Mutex
	at    store.Revision     // that known is of
	known map[string]claimed // by the bundle's key
	// by are the keys of the bundles that claim each digest.
	by map[uint64][]string
}

// claimed are the claims of one generation of a bundle.
type claimed struct {
	uid        types.UID
	generation int64
	plan.Claims
}

func newClaims(c *Core) *claims {
	return &claims{core: c, told: newTold(c)}
}

// claimant is what is read of a bundle that is written: the rest may be megabytes.
type claimant struct {
	group    string // that says where it goes, of a secret
	Metadata struct {
		Name string `json:"name"`
	} `json:"metadata"`
	Spec struct {
		Placement v1alpha1.Placement `json:"placement"`
		DependsOn []string           `json:"dependsOn"`
		Manifests heads              `json:"manifests"`
	} `json:"spec"`
}

// check refuses a write of a bundle that does not get along with the others. What it returns must hold for the write to be right.
func (c *claims) check(v *store.View, w apiserver.Write) ([]store.Condition, error) {
	switch {
	case w.After == nil:
		return nil, nil
	case strings.HasPrefix(w.Key, v1alpha1.KeyRecipientGroups):
		return c.checkGroup(v, w.After)
	case !hasPrefix(w.Key, v1alpha1.RolledOutPrefixes):
		return nil, nil
	}
	if err := c.fits(v, w); err != nil {
		return nil, err
	}
	mine, err := claimantOf(v, w.Key, w.After)
	if err != nil {
		return nil, err
	}
	objects := mine.Spec.Manifests.refs()
	before, err := bundleAt(v, w.Key)
	switch {
	case err != nil:
		return nil, err
	case before != nil && mine.claimsWhat(before, objects):
		was, err := c.core.decoded.Bundles.GroupOf(v, mine.Metadata.Name)
		if err != nil || was == mine.group {
			return nil, err
		}
		return groupsAsSeen(v, mine.group), nil
	}
	if err := c.goesRound(v, mine); err != nil {
		return nil, err
	}
	rivals, err := c.rivals(v, w.Key, plan.ClaimsOf(objects))
	if err != nil {
		return nil, err
	}
	contested, err := c.contest(v, mine, objects, rivals)
	if err == nil && contested != "" {
		err = mine.invalid(mine.names(), contested)
	}
	if err != nil {
		return nil, err
	}
	groups := []string{mine.group}
	for _, rival := range rivals {
		group, err := c.core.decoded.Bundles.GroupOf(v, rival.Name)
		if err != nil {
			return nil, err
		}
		groups = append(groups, group)
	}
	return append(groupsAsSeen(v, groups...), store.PrefixUnchanged(v1alpha1.KeyBundleRevisions, v.Revision())), nil
}

// groupsAsSeen are the conditions that groups go where they did in a view; "" is none.
func groupsAsSeen(v *store.View, groups ...string) (all []store.Condition) {
	slices.Sort(groups)
	for _, group := range slices.Compact(groups) {
		if group != "" {
			all = append(all, v.AsSeen(v1alpha1.KeyRecipientGroups+group))
		}
	}
	return all
}

// checkGroup refuses another selector of a group that would bring one of its secrets where something else brings the same Secret.
func (c *claims) checkGroup(v *store.View, value []byte) ([]store.Condition, error) {
	var group v1alpha1.RecipientGroup
	if err := json.Unmarshal(value, &group); err != nil {
		return nil, fmt.Errorf("read the group: %w", err)
	}
	before, err := decoded.GroupAt(v, group.Name)
	if err != nil || before != nil && reflect.DeepEqual(before.Spec.ClusterSelector, group.Spec.ClusterSelector) {
		return nil, err
	}
	for kv := range v.Iterate(v1alpha1.KeyFleetSecrets, "") {
		var s v1alpha1.FleetSecret
		if json.Unmarshal(kv.Value, &s) != nil || s.Spec.Group != group.Name {
			continue
		}
		mine := claimantOfSecret(s, &group)
		objects := mine.Spec.Manifests.refs()
		rivals, err := c.rivals(v, kv.Key, plan.ClaimsOf(objects))
		if err != nil {
			return nil, err
		}
		for _, rival := range rivals {
			if of, _ := c.core.decoded.Bundles.GroupOf(v, rival.Name); of == group.Name {
				rival.Spec.Placement = mine.Spec.Placement // it goes along
			}
		}
		contested, err := c.contest(v, mine, objects, rivals)
		if err != nil {
			return nil, err
		}
		if contested != "" {
			return nil, apierrors.NewInvalid(v1alpha1.SchemeGroupVersion.WithKind("RecipientGroup").GroupKind(), group.Name,
				field.ErrorList{field.Forbidden(field.NewPath("spec", "clusterSelector"), contested)})
		}
	}
	unchanged := func(prefix string) store.Condition { return store.PrefixUnchanged(prefix, v.Revision()) }
	return []store.Condition{unchanged(v1alpha1.KeyBundleRevisions), unchanged(v1alpha1.KeyRecipientGroups)}, nil
}

// claimantOf reads what is written. A secret is for a group that is there.
func claimantOf(v *store.View, key string, value []byte) (mine claimant, err error) {
	if strings.HasPrefix(key, v1alpha1.KeyBundles) {
		if err := json.Unmarshal(value, &mine); err != nil {
			return mine, fmt.Errorf("read %s: %w", law.Thing(key), err)
		}
		return mine, nil
	}
	var s v1alpha1.FleetSecret
	if err := json.Unmarshal(value, &s); err != nil {
		return mine, fmt.Errorf("read %s: %w", law.Thing(key), err)
	}
	if !v.Has(v1alpha1.KeyRecipientGroups + s.Spec.Group) {
		return mine, apierrors.NewInvalid(v1alpha1.SchemeGroupVersion.WithKind("FleetSecret").GroupKind(), s.Name, field.ErrorList{
			field.Invalid(field.NewPath("spec", "group"), s.Spec.Group, "there is no such group; make it first, or see what there is: hanse get recipientgroups")})
	}
	group, err := decoded.GroupAt(v, s.Spec.Group)
	return claimantOfSecret(s, group), err
}

// claimantOfSecret is a secret as a bundle that brings its Secrets where its group is.
func claimantOfSecret(s v1alpha1.FleetSecret, group *v1alpha1.RecipientGroup) (mine claimant) {
	b := s.AsBundle(group)
	mine.group, mine.Metadata.Name, mine.Spec.Placement = s.Spec.Group, b.Name, b.Spec.Placement
	for _, target := range s.Targets() {
		h := head{APIVersion: target.APIVersion, Kind: target.Kind}
		h.Metadata.Namespace, h.Metadata.Name = target.Namespace, target.Name
		mine.Spec.Manifests = append(mine.Spec.Manifests, h)
	}
	return mine
}

// secretAt is a secret as a bundle that brings its Secrets.
func secretAt(v *store.View, s v1alpha1.FleetSecret) (*v1alpha1.Bundle, error) {
	group, _ := decoded.GroupAt(v, s.Spec.Group) // for one that cannot be read it goes nowhere
	b := s.AsBundle(group)
	for _, target := range s.Targets() {
		raw, err := json.Marshal(map[string]any{
			"apiVersion": target.APIVersion, "kind": target.Kind, "metadata": map[string]string{"namespace": target.Namespace, "name": target.Name},
		})
		if err != nil {
			return nil, fmt.Errorf("encode %s: %w", target.Name, err)
		}
		b.Spec.Manifests = append(b.Spec.Manifests, runtime.RawExtension{Raw: raw})
	}
	return b, nil
}

// bundleAt is the bundle of a key, or the secret as one, nil when it is not there.
func bundleAt(v *store.View, key string) (*v1alpha1.Bundle, error) {
	kv, there := v.Get(key)
	if !there {
		return nil, nil
	}
	if strings.HasPrefix(key, v1alpha1.KeyFleetSecrets) {
		var s v1alpha1.FleetSecret
		if err := json.Unmarshal(kv.Value, &s); err != nil {
			return nil, fmt.Errorf("read %s: %w", law.Thing(key), err)
		}
		return secretAt(v, s)
	}
	var b v1alpha1.Bundle
	if err := json.Unmarshal(kv.Value, &b); err != nil {
		return nil, fmt.Errorf("read %s: %w", law.Thing(key), err)
	}
	return &b, nil
}

// claimsWhat says that a bundle claims the same objects in the same places as it did before, and depends on the same bundles.
func (m claimant) claimsWhat(before *v1alpha1.Bundle, objects []v1alpha1.ObjectRef) bool {
	return slices.Equal(m.Spec.DependsOn, before.Spec.DependsOn) &&
		reflect.DeepEqual(m.Spec.Placement, before.Spec.Placement) && slices.Equal(objects, brings(before.Spec.Manifests))
}

// goesRound is the error that a bundle depends on itself by way of others, nil when it does not.
func (c *claims) goesRound(v *store.View, m claimant) error {
	if len(m.Spec.DependsOn) == 0 {
		return nil
	}
	all, err := c.core.decoded.Bundles.List(v)
	if err != nil {
		return err
	}
	by := map[string][]string{}
	for _, o := range all {
		by[o.Value.Name] = o.Value.Spec.DependsOn
	}
	by[m.Metadata.Name] = m.Spec.DependsOn
	way := plan.Cycle(m.Metadata.Name, func(bundle string) []string { return by[bundle] })
	if way == nil {
		return nil
	}
	return m.invalid("dependsOn", "each of these would wait for the next, and none would ever begin: "+strings.Join(way, " → ")+"; take one of the steps out")
}

// invalid is what the API answers to a bundle that does not get along with others.
func (m claimant) invalid(of, why string) error {
	rolled := v1alpha1.RolledOutOf(m.Metadata.Name)
	return apierrors.NewInvalid(v1alpha1.SchemeGroupVersion.WithKind(rolled.Kind).GroupKind(), rolled.Name,
		field.ErrorList{field.Forbidden(field.NewPath("spec", of), why)})
}

// names is the field that says which objects it brings.
func (m claimant) names() string {
	if v1alpha1.RolledOutOf(m.Metadata.Name).IsSecret() {
		return "secretName"
	}
	return "manifests"
}

// brings are the objects that manifests name.
func brings(manifests []runtime.RawExtension) (all []v1alpha1.ObjectRef) {
	for _, m := range manifests {
		var h head
		if json.Unmarshal(m.Raw, &h) == nil { // what is no object is claimed by nobody
			all = append(all, h.ref())
		}
	}
	return all
}

// rivals are the bundles, other than the one of the key, that may bring an object of these claims.
func (c *claims) rivals(v *store.View, key string, mine plan.Claims) (rivals []*v1alpha1.Bundle, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.follow(v); err != nil {
		return nil, err
	}
	for _, other := range c.meet(mine) {
		if other == key {
			continue
		}
		b, err := bundleAt(v, other)
		if err != nil {
			return nil, err
		}
		if b != nil { // else this view is older than what is known, and the condition does not hold
			rivals = append(rivals, b)
		}
	}
	slices.SortFunc(rivals, func(a, b *v1alpha1.Bundle) int { return strings.Compare(a.Name, b.Name) })
	return rivals, nil
}

// meet are the keys of the bundles that claim something of these claims.
func (c *claims) meet(mine plan.Claims) (keys []string) {
	for _, digest := range mine {
		keys = append(keys, c.by[digest]...)
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// forget drops what a bundle claimed.
func (c *claims) forget(key string) {
	for _, digest := range c.known[key].Claims {
		if c.by[digest] = slices.DeleteFunc(c.by[digest], func(k string) bool { return k == key }); len(c.by[digest]) == 0 {
			delete(c.by, digest)
		}
	}
	delete(c.known, key)
}

// learn takes over what a bundle claims.
func (c *claims) learn(key string, b *v1alpha1.Bundle) {
	has := claimed{b.UID, b.Generation, plan.ClaimsOf(brings(b.Spec.Manifests))}
	c.known[key] = has
	for _, digest := range has.Claims {
		c.by[digest] = append(c.by[digest], key)
	}
}

// follow takes over which bundles changed since, or all when nobody can tell any more. Thousands are not looked at for one that is written.
func (c *claims) follow(v *store.View) error {
	if c.known != nil && v.Revision() <= c.at {
		return nil
	}
	var changes []iter.Seq[string]
	all := c.known == nil
	for _, prefix := range v1alpha1.RolledOutPrefixes {
		changed, known := v.Changed(prefix, c.at)
		changes, all = append(changes, changed), all || !known
	}
	if all {
		c.known, c.by, changes = map[string]claimed{}, map[uint64][]string{}, nil
		for _, prefix := range v1alpha1.RolledOutPrefixes {
			changes = append(changes, keysOf(v.Iterate(prefix, "")))
		}
	}
	for _, changed := range changes {
		if err := c.renew(v, changed); err != nil {
			c.known = nil // all are looked at again
			return err
		}
	}
	c.at = v.Revision()
	return nil
}

// renew takes over what the bundles of these keys claim now.
func (c *claims) renew(v *store.View, changed iter.Seq[string]) error {
	for key := range changed {
		b, err := bundleAt(v, key)
		if err != nil && !strings.HasPrefix(key, v1alpha1.KeyFleetSecrets) { // which is not rolled out, as it cannot be read
			return err
		}
		if has := c.known[key]; b != nil && has.uid == b.UID && has.generation == b.Generation {
			continue
		}
		if c.forget(key); b != nil {
			c.learn(key, b)
		}
	}
	return nil
}

func keysOf(all iter.Seq[store.KV]) iter.Seq[string] {
	return func(yield func(string) bool) {
		for kv := range all {
			if !yield(kv.Key) {
				return
			}
		}
	}
}

// contest says that a bundle and one of its rivals would bring one object into one cluster; empty when none does.
func (c *claims) contest(v *store.View, mine claimant, objects []v1alpha1.ObjectRef, rivals []*v1alpha1.Bundle) (string, error) {
	if len(rivals) == 0 {
		return "", nil
	}
	scene, err := c.scene(v)
	if err != nil {
		return "", err
	}
	here, err := plan.Picks(mine.Spec.Placement, scene.Ground(mine.Metadata.Name))
	if err != nil {
		return "", err
	}
	for _, rival := range rivals {
		shared, both := plan.Shared(objects, brings(rival.Spec.Manifests))
		if !both {
			continue
		}
		there, err := plan.Picks(rival.Spec.Placement, scene.Ground(rival.Name))
		if err != nil {
			return "", err
		}
		if in := common(here, there); len(in) > 0 {
			return plan.Contested(mine.Metadata.Name, rival.Name, shared, in), nil
		}
	}
	return "", nil
}

// scene is what placements are decided from.
func (c *claims) scene(v *store.View) (plan.Scene, error) {
	clusters, err := c.core.decoded.Clusters.List(v)
	if err != nil {
		return plan.Scene{}, err
	}
	grants, err := c.core.decoded.Standing(v)
	if err != nil {
		return plan.Scene{}, err
	}
	return sceneOf(v, c.told, clusters, grants), nil
}

// common are the names that are in both of two sorted lists.
func common(a, b []string) (both []string) {
	for _, name := range a {
		if _, in := slices.BinarySearch(b, name); in {
			both = append(both, name)
		}
	}
	return both
}
