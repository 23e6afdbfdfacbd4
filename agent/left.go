package agent

import (
	"context"
	"errors"
	"slices"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/decoded"
	"github.com/hanse-fleet/hanse/law"
)

// clear deletes what is left of groups and clusters that are not there any more (law.Leavings), also while no cluster acts: nobody goes by it, and who makes
// another one of the name waits for it. It returns the state to go on from.
func (l *leader) clear(ctx context.Context, v *store.View) (*store.View, error) {
	gone := l.gone(v)
	if len(gone) == 0 {
		return v, nil
	}
	var errs []error
	for _, key := range gone {
		errs = append(errs, l.clearOf(ctx, l.store.View(), key))
	}
	return l.store.View(), errors.Join(errs...)
}

// clearOf deletes what is left of one. What somebody else was faster with is looked at again in the next pass.
func (l *leader) clearOf(ctx context.Context, v *store.View, key string) error {
	for some := range divided(law.Leavings(v, key)) {
		conditions := []store.Condition{store.KeyAbsent(key)}
		for _, op := range some {
			conditions = append(conditions, v.AsSeen(op.Key))
		}
		if err := l.write(ctx, conditions, some...); err != nil {
			return err
		}
	}
	return nil
}

// gone are the keys of groups and clusters that are not there, and of which something is left, in order, whether that can be read or not. Each is looked up
// once: thousands may name it.
func (l *leader) gone(v *store.View) (gone []string) {
	type one struct{ prefix, name string }
	seen := map[one]bool{}
	mind := func(prefix, name string) {
		if o := (one{prefix, name}); !seen[o] {
			if seen[o] = true; !v.Has(prefix + name) {
				gone = append(gone, prefix+name)
			}
		}
	}
	sealings, garbled := l.decoded.Sealings.Readable(v)
	for _, s := range sealings {
		mind(v1alpha1.KeyRecipientGroups, s.Value.Group)
	}
	for key := range garbled {
		kv, _ := v.Get(key)
		if group, ok := law.ToldOf(kv); ok {
			mind(v1alpha1.KeyRecipientGroups, group)
		}
	}
	grants, garbled := l.decoded.Grants.Readable(v)
	for cluster := range decoded.ByCluster(grants) {
		mind(v1alpha1.KeyClusters, cluster)
	}
	for key := range garbled {
		cluster, _ := v1alpha1.CutGrantKey(key)
		mind(v1alpha1.KeyClusters, cluster)
	}
	tombs, _ := l.tombs.Readable(v)
	for _, t := range tombs {
		for _, cluster := range t.Value.Clusters {
			mind(v1alpha1.KeyClusters, cluster)
		}
	}
	slices.Sort(gone)
	return gone
}
