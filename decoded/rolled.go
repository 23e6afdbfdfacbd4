package decoded

import (
	"strings"
	"sync"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/plan"
)

// Rolled are what is rolled out: the bundles, and behind them the secrets, each as a bundle in the clusters of its group. What goes
// through the fleet does so by the same rules, whatever it brings.
type Rolled struct {
	bundles *Objects[v1alpha1.Bundle]
	Secrets *Objects[v1alpha1.FleetSecret]
	groups  *Objects[v1alpha1.RecipientGroup]

	mu   sync.Mutex
	last map[string]asBundle // by the secret's key
}

// asBundle is a secret as a bundle, and what it was made from.
type asBundle struct {
	Object[v1alpha1.Bundle]
	of    *v1alpha1.FleetSecret
	group *v1alpha1.RecipientGroup
}

func newRolled(groups *Objects[v1alpha1.RecipientGroup]) *Rolled {
	return &Rolled{
		bundles: New[v1alpha1.Bundle](v1alpha1.KeyBundles),
		Secrets: New[v1alpha1.FleetSecret](v1alpha1.KeyFleetSecrets),
		groups:  groups,
	}
}

// List returns what a view has; nobody changes what is returned. A secret that cannot be read is left out, and one whose group cannot be read is to
// go nowhere: Unread says which.
func (r *Rolled) List(v *store.View) ([]Object[v1alpha1.Bundle], error) {
	all, err := r.bundles.List(v)
	if err != nil {
		return nil, err
	}
	secrets, _ := r.Secrets.Readable(v)
	if len(secrets) == 0 {
		return all, nil
	}
	groups, _ := byName(r.groups, v)
	r.mu.Lock()
	defer r.mu.Unlock()
	next := make(map[string]asBundle, len(secrets))
	both := append(make([]Object[v1alpha1.Bundle], 0, len(all)+len(secrets)), all...)
	for _, s := range secrets {
		b, known := r.last[s.Key]
		if group := groups[s.Value.Spec.Group]; !known || b.of != s.Value || b.group != group {
			b = asBundle{Object[v1alpha1.Bundle]{s.Key, s.Modified, s.Value.AsBundle(group)}, s.Value, group}
		}
		next[s.Key] = b
		both = append(both, b.Object)
	}
	r.last = next
	return both, nil
}

// Sealed are the holders of the key of each secret of a view, among some clusters, by the name that it is rolled out under.
func (r *Rolled) Sealed(v *store.View, clusters []v1alpha1.Cluster) map[string]*plan.Holders {
	secrets, _ := r.Secrets.Readable(v)
	if len(secrets) == 0 {
		return nil
	}
	groups, _ := byName(r.groups, v)
	holders, by := map[string]*plan.Holders{}, make(map[string]*plan.Holders, len(secrets))
	for name, g := range groups {
		holders[name] = plan.HoldersOf(g, clusters)
	}
	for _, s := range secrets {
		if h := holders[s.Value.Spec.Group]; h != nil { // a group that is not there has no clusters
			by[s.Value.RolledOut().String()] = h
		}
	}
	return by
}

// Unread says of each secret that cannot be read, or whose group cannot, what that is, by the name that it is rolled out under.
func (r *Rolled) Unread(v *store.View) map[string]string {
	secrets, garbled := r.Secrets.Readable(v)
	_, groups := byName(r.groups, v)
	if len(garbled)+len(groups) == 0 {
		return nil
	}
	unread := map[string]string{}
	for key := range garbled {
		unread[RolledOutAt(key).String()] = CannotBeRead(key).Error()
	}
	for _, s := range secrets {
		if why := groups[s.Value.Spec.Group]; why != nil {
			unread[s.Value.RolledOut().String()] = why.Error()
		}
	}
	return unread
}

// RolledOutAt is the secret of a key.
func RolledOutAt(key string) v1alpha1.RolledOut {
	return v1alpha1.RolledOut{Kind: "FleetSecret", Name: strings.TrimPrefix(key, v1alpha1.KeyFleetSecrets)}
}

// ofGroup is what GroupOf reads of a secret.
type ofGroup struct {
	Spec struct {
		Group string `json:"group"`
	} `json:"spec"`
}

// GroupOf is the group of the secret that is rolled out under a name, in a view; "" when it is no secret, or not there.
func (r *Rolled) GroupOf(v *store.View, name string) (string, error) {
	rolled := v1alpha1.RolledOutOf(name)
	if !rolled.IsSecret() {
		return "", nil
	}
	kv, there := v.Get(rolled.Key())
	if !there {
		return "", nil
	}
	secret, err := decode[ofGroup](kv) // the view may be older than what is listed, and who asks asks for each of a thousand
	return secret.Value.Spec.Group, err
}
