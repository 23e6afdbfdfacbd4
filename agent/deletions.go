package agent

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/decoded"
	"github.com/hanse-fleet/hanse/events"
)

// withdrawalSoon is how long who deletes a bundle waits to be told whether its objects go: the leader decides that.
const withdrawalSoon = time.Second

// deletedRolledOut says what somebody must know who has just deleted what is rolled out; "" when there is nothing to tell.
func (c *Core) deletedRolledOut(ctx context.Context, rolled v1alpha1.RolledOut, uid string) string {
	ctx, cancel := context.WithTimeout(ctx, withdrawalSoon)
	defer cancel()
	for {
		v := c.store.View()
		if _, stays := v.Get(v1alpha1.KeyTombstones + uid); !stays {
			return "" // no cluster has anything of it, any more
		}
		r, err := c.withdrawal(v, uid)
		if err != nil {
			return "" // the leader meets the same, and says so
		}
		if r != nil {
			return withdrawalWaits(r)
		}
		if c.changed(ctx, []string{v1alpha1.KeyRollouts, v1alpha1.KeyTombstones}, v.Revision()) != nil {
			return fmt.Sprintf("%s is deleted, and not decided yet whether what clusters run of it waits for a person; see: hanse rollout status %s", rolled.Title(), rolled)
		}
	}
}

// withdrawal is the rollout by which a deleted bundle leaves its clusters; nil when there is none yet.
func (c *Core) withdrawal(v *store.View, uid string) (*v1alpha1.Rollout, error) {
	all, err := c.decoded.Rollouts.List(v)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(all, func(o decoded.Object[v1alpha1.Rollout]) bool {
		return o.Value.Spec.BundleUID == uid && o.Value.Spec.Revision == "" && !o.Value.Status.Phase.Ended()
	})
	if i < 0 {
		return nil, nil
	}
	return all[i].Value, nil
}

// withdrawalWaits says that a deleted bundle is still in its clusters, and until when; "" when it goes by itself.
func withdrawalWaits(r *v1alpha1.Rollout) string {
	d := r.Status.Deletions
	if d == nil {
		return ""
	}
	return fmt.Sprintf("%s is deleted, but what clusters run of it stays until a person approves: %s in %s, as %s; to approve: hanse rollout approve %s --deletions",
		v1alpha1.RolledOutOf(r.Spec.Bundle).Title(), v1alpha1.Counted(d.Objects, "1 object", "%d objects"), fewClusters(d.Clusters), d.Reason, r.Name)
}

// maxNamed is how many clusters are named in a sentence.
const maxNamed = 5

func fewClusters(clusters []v1alpha1.ClusterDeletions) string {
	names := make([]string, len(clusters))
	for i, c := range clusters {
		names[i] = c.Name
	}
	return v1alpha1.Few(names, maxNamed)
}

// deletions tells the people of the cluster when something of it waits to be deleted until a person says so, until ctx ends.
func (a *announcer) deletions(ctx context.Context) error {
	told := map[string]bool{}
	return a.core.follow(ctx, []string{v1alpha1.KeyRollouts}, func(v *store.View) error {
		all, err := a.core.decoded.Rollouts.List(v)
		if err != nil {
			return err
		}
		waits := map[string]bool{}
		for _, o := range all {
			e := deletionEvent(o.Value, a.core.self.Cluster)
			if e == nil {
				continue
			}
			if waits[o.Key] = true; !told[o.Key] {
				a.teller.Tell(*e)
			}
		}
		told = waits
		return nil
	})
}

// deletionEvent is that a rollout may not delete yet what it would delete in a cluster; nil when it does not wait, or not for that.
func deletionEvent(r *v1alpha1.Rollout, cluster string) *events.Event {
	d := r.Status.Deletions
	if d == nil || r.Status.Phase.Ended() {
		return nil
	}
	i := slices.IndexFunc(d.Clusters, func(c v1alpha1.ClusterDeletions) bool { return c.Name == cluster })
	if i < 0 {
		return nil
	}
	what := v1alpha1.RolledOutOf(r.Spec.Bundle).Title() + " is changed"
	if r.Spec.Revision == "" {
		what = v1alpha1.RolledOutOf(r.Spec.Bundle).Title() + " is deleted"
	}
	return &events.Event{Warning: true, Reason: "DeletionsWait", Action: "Withdraw", Regarding: rolledOutRef(r.Spec.Bundle, r.Spec.BundleUID),
		Related: corev1.ObjectReference{APIVersion: v1alpha1.SchemeGroupVersion.String(), Kind: "Rollout", Name: r.Name, UID: r.UID},
		Note: fmt.Sprintf("%s, but %s until a person approves, as %s; to approve: hanse rollout approve %s --deletions", what,
			v1alpha1.Counted(d.Clusters[i].Objects, "the object of this cluster that would go stays", "the %d objects of this cluster that would go stay"), d.Reason, r.Name)}
}
