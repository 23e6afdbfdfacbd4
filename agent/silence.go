package agent

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/apiserver"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/plan"
)

// foretell says what whoever changes who reads is to be told: who reads by its own word, and which secrets nobody that is heard opens from then on. The
// law lets that pass: it knows who holds a key, and not who is there.
func (c *Core) foretell(v *store.View, w apiserver.Write) (lines []string) {
	lines = c.pickedByOwnWord(v, w)
	if w.Before == nil || !hasPrefix(w.Key, []string{v1alpha1.KeyClusters, v1alpha1.KeyRecipientGroups, v1alpha1.KeyFleets}) {
		return lines
	}
	groups, before := c.decoded.KeyGroups(v)
	if len(groups) == 0 {
		return lines
	}
	secrets, _ := c.decoded.Bundles.Secrets.Readable(v)
	there := c.there(v)
	for _, g := range groups {
		is, ok := readershipAfter(plan.Readership{Group: g.Value, Of: before}, g.Key, w)
		if !ok {
			continue
		}
		var sealed []string
		for _, s := range secrets {
			if s.Value.Spec.Group == g.Value.Name {
				sealed = append(sealed, s.Value.Name)
			}
		}
		if silent := plan.LeftToSilence(plan.Readership{Group: g.Value, Of: before}, is, there); len(silent) > 0 && len(sealed) > 0 {
			lines = append(lines, plan.LeftToSilenceText(g.Value.Name, silent, sealed))
		}
	}
	return lines
}

// readershipAfter is who reads what is sealed for a group, after a write; false: the write says nothing of it that can be read.
func readershipAfter(r plan.Readership, group string, w apiserver.Write) (plan.Readership, bool) {
	prefix, name, _ := strings.Cut(strings.TrimPrefix(w.Key, "/"), "/")
	switch prefix {
	case strings.Trim(v1alpha1.KeyRecipientGroups, "/"):
		g := &v1alpha1.RecipientGroup{}
		r.Group = g
		return r, w.Key == group && w.After != nil && json.Unmarshal(w.After, g) == nil
	case strings.Trim(v1alpha1.KeyFleets, "/"):
		var f v1alpha1.Fleet
		ok := w.After == nil || json.Unmarshal(w.After, &f) == nil
		r.Of.Fleet = f.Spec
		return r, ok
	}
	r.Of.Clusters = slices.DeleteFunc(slices.Clone(r.Of.Clusters), func(c *v1alpha1.Cluster) bool { return c.Name == name })
	if w.After == nil {
		return r, true
	}
	cluster := &v1alpha1.Cluster{}
	if json.Unmarshal(w.After, cluster) != nil {
		return r, false
	}
	at, _ := slices.BinarySearchFunc(r.Of.Clusters, name, func(c *v1alpha1.Cluster, name string) int { return strings.Compare(c.Name, name) })
	r.Of.Clusters = slices.Insert(r.Of.Clusters, at, cluster)
	return r, true
}
