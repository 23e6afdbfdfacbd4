package decoded

import (
	"encoding/json"
	"strings"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/plan"
)

// Candidates are of whom the groups' specs say which may have their keys.
func (k Kinds) Candidates(v *store.View) (of plan.Candidates, err error) {
	if of.Fleet, err = k.Fleet(v); err != nil {
		return of, err
	}
	clusters, err := k.Clusters.List(v)
	of.Clusters = Values(clusters)
	return of, err
}

// KeyGroups are the groups that can be read, and of whom their specs say which may have their keys; none when that cannot be read: who decides by it
// says what is wrong.
func (k Kinds) KeyGroups(v *store.View) ([]Object[v1alpha1.RecipientGroup], plan.Candidates) {
	groups, _ := k.Groups.Readable(v)
	if len(groups) == 0 {
		return nil, plan.Candidates{}
	}
	of, err := k.Candidates(v)
	if err != nil {
		return nil, plan.Candidates{}
	}
	return groups, of
}

// GroupAt is a group, nil when it is not there.
func GroupAt(v *store.View, name string) (*v1alpha1.RecipientGroup, error) {
	kv, there := v.Get(v1alpha1.KeyRecipientGroups + name)
	if !there {
		return nil, nil
	}
	g := &v1alpha1.RecipientGroup{}
	if err := json.Unmarshal(kv.Value, g); err != nil {
		return nil, CannotBeRead(kv.Key)
	}
	return g, nil
}

// GroupsByName are the groups of a view, and why some of them are not known.
func (k Kinds) GroupsByName(v *store.View) (by map[string]*v1alpha1.RecipientGroup, unread map[string]error) {
	return byName(k.Groups, v)
}

// byName are the groups of a view, and why some of them are not known.
func byName(all *Objects[v1alpha1.RecipientGroup], v *store.View) (by map[string]*v1alpha1.RecipientGroup, unread map[string]error) {
	groups, garbled := all.Readable(v)
	by = make(map[string]*v1alpha1.RecipientGroup, len(groups))
	for _, g := range groups {
		by[strings.TrimPrefix(g.Key, v1alpha1.KeyRecipientGroups)] = g.Value
	}
	for key := range garbled {
		if unread == nil {
			unread = map[string]error{}
		}
		unread[strings.TrimPrefix(key, v1alpha1.KeyRecipientGroups)] = CannotBeRead(key)
	}
	return by, unread
}
