package agent

import (
	"fmt"
	"strings"
	"sync"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/law"
	"github.com/hanse-fleet/hanse/plan"
)

// rolled are what is rolled out: the bundles, and behind them the secrets, each as a bundle in the clusters of its group. What goes
// through the fleet does so by the same rules, whatever it brings.
type rolled struct {
	bundles *objects[v1alpha1.Bundle]
	secrets *objects[v1alpha1.FleetSecret]
	groups  *objects[v1alpha1.RecipientGroup]

	mu   sync.Mutex
	last map[string]asBundle // by the secret's key
}

// asBundle is a secret as a bundle, and what it was made from.
type asBundle struct {
	object[v1alpha1.Bundle]
	of    *v1alpha1.FleetSecret
	group *v1alpha1.RecipientGroup
}

func newRolled(groups *objects[v1alpha1.RecipientGroup]) *rolled {
	return &rolled{
		bundles: newObjects[v1alpha1.Bundle](v1alpha1.KeyBundles),
		secrets: newObjects[v1alpha1.FleetSecret](v1alpha1.KeyFleetSecrets),
		groups:  groups,
	}
}

// list returns what a view has; nobody changes what is returned. A secret that cannot be read is left out, and one whose group cannot be read is to
// go nowhere: unread says which.
func (r *rolled) list(v *store.View) ([]object[v1alpha1.Bundle], error) {
	all, err := r.bundles.list(v)
	if err != nil {
		return nil, err
	}
	secrets, _ := r.secrets.readable(v)
	if len(secrets) == 0 {
		return all, nil
	}
	groups, _ := r.byName(v)
	r.mu.Lock()
	defer r.mu.Unlock()
	next := make(map[string]asBundle, len(secrets))
	both := append(make([]object[v1alpha1.Bundle], 0, len(all)+len(secrets)), all...)
	for _, s := range secrets {
		b, known := r.last[s.key]
		if group := groups[s.value.Spec.Group]; !known || b.of != s.value || b.group != group {
			b = asBundle{object[v1alpha1.Bundle]{s.key, s.modified, s.value.AsBundle(group)}, s.value, group}
		}
		next[s.key] = b
		both = append(both, b.object)
	}
	r.last = next
	return both, nil
}

// sealed are the holders of the key of each secret of a view, among some clusters, by the name that it is rolled out under.
func (r *rolled) sealed(v *store.View, clusters []v1alpha1.Cluster) map[string]*plan.Holders {
	secrets, _ := r.secrets.readable(v)
	if len(secrets) == 0 {
		return nil
	}
	groups, _ := r.byName(v)
	holders, by := map[string]*plan.Holders{}, make(map[string]*plan.Holders, len(secrets))
	for name, g := range groups {
		holders[name] = plan.HoldersOf(g, clusters)
	}
	for _, s := range secrets {
		if h := holders[s.value.Spec.Group]; h != nil { // a group that is not there has no clusters
			by[s.value.RolledOut().String()] = h
		}
	}
	return by
}

// unread says of each secret that cannot be read, or whose group cannot, what that is, by the name that it is rolled out under.
func (r *rolled) unread(v *store.View) map[string]string {
	secrets, garbled := r.secrets.readable(v)
	_, groups := r.byName(v)
	if len(garbled)+len(groups) == 0 {
		return nil
	}
	unread := map[string]string{}
	for key := range garbled {
		unread[rolledOutAt(key).String()] = cannotBeRead(key).Error()
	}
	for _, s := range secrets {
		if why := groups[s.value.Spec.Group]; why != nil {
			unread[s.value.RolledOut().String()] = why.Error()
		}
	}
	return unread
}

// rolledOutAt is the secret of a key.
func rolledOutAt(key string) v1alpha1.RolledOut {
	return v1alpha1.RolledOut{Kind: "FleetSecret", Name: strings.TrimPrefix(key, v1alpha1.KeyFleetSecrets)}
}

// cannotBeRead is what is said of what no version of ours wrote.
func cannotBeRead(key string) error { return fmt.Errorf("%s cannot be read", law.Thing(key)) }

// ofGroup is what groupOf reads of a secret.
type ofGroup struct {
	Spec struct {
		Group string `json:"group"`
	} `json:"spec"`
}

// groupOf is the group of the secret that is rolled out under a name, in a view; "" when it is no secret, or not there.
func (r *rolled) groupOf(v *store.View, name string) (string, error) {
	rolled := v1alpha1.RolledOutOf(name)
	if !rolled.IsSecret() {
		return "", nil
	}
	kv, there := v.Get(rolled.Key())
	if !there {
		return "", nil
	}
	secret, err := decode[ofGroup](kv) // the view may be older than what is listed, and who asks asks for each of a thousand
	return secret.value.Spec.Group, err
}

// byName are the groups of a view, and why some of them are not known.
func (r *rolled) byName(v *store.View) (by map[string]*v1alpha1.RecipientGroup, unread map[string]error) {
	groups, garbled := r.groups.readable(v)
	by = make(map[string]*v1alpha1.RecipientGroup, len(groups))
	for _, g := range groups {
		by[strings.TrimPrefix(g.key, v1alpha1.KeyRecipientGroups)] = g.value
	}
	for key := range garbled {
		if unread == nil {
			unread = map[string]error{}
		}
		unread[strings.TrimPrefix(key, v1alpha1.KeyRecipientGroups)] = cannotBeRead(key)
	}
	return by, unread
}
