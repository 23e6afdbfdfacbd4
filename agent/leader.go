package agent

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/epoch"
	"github.com/hanse-fleet/hanse/internal/pause"
	"github.com/hanse-fleet/hanse/law"
	"github.com/hanse-fleet/hanse/plan"
	"github.com/hanse-fleet/hanse/report"
)

const (
	// leaderTick is how often the leader looks even though nothing happened: what is away depends on time.
	leaderTick = time.Second
	// statusPause is the least time between two writes of one object's status to the log.
	statusPause = time.Second
)

// leader takes the decisions that only the leader takes. It decides anew from the whole state each time, so a new
// leader goes on where the last one stopped; each write carries the term, so a deposed one writes nothing.
type leader struct {
	*Core
	term uint64
	// statusWritten is when each object's status was written last, by key.
	statusWritten map[string]time.Time
	// forgot is when old changes were looked for last, and how many were left.
	forgot     time.Time
	remembered int

	bundles   *objects[v1alpha1.Bundle]
	clusters  *objects[v1alpha1.Cluster]
	revisions *objects[v1alpha1.BundleRevision]
	rollouts  *objects[v1alpha1.Rollout]
	grants    *objects[v1alpha1.Grant]
	tombs     *objects[v1alpha1.Tombstone]
	tokens    *objects[law.Token]
	told      told
}

// decidesOn are the prefixes whose change may call for a decision.
var decidesOn = []string{
	v1alpha1.KeyBundles, v1alpha1.KeyClusters, v1alpha1.KeyGrants, v1alpha1.KeyRollouts, v1alpha1.KeyTombstones, store.KeyMembers,
	v1alpha1.KeyObserving,
}

// lead decides for as long as this member leads. It is called by the consensus, once a leader, and returns when ctx ends.
func (c *Core) lead(ctx context.Context, term uint64) {
	l := &leader{
		Core: c, term: term, statusWritten: map[string]time.Time{},
		bundles:   newObjects[v1alpha1.Bundle](v1alpha1.KeyBundles),
		clusters:  newObjects[v1alpha1.Cluster](v1alpha1.KeyClusters),
		revisions: newObjects[v1alpha1.BundleRevision](v1alpha1.KeyBundleRevisions),
		rollouts:  newObjects[v1alpha1.Rollout](v1alpha1.KeyRollouts),
		grants:    newObjects[v1alpha1.Grant](v1alpha1.KeyGrants),
		tombs:     newObjects[v1alpha1.Tombstone](v1alpha1.KeyTombstones),
		tokens:    newObjects[law.Token](law.KeyTokens),
		told:      newTold(c),
	}
	for ctx.Err() == nil {
		begun := time.Now()
		v := c.store.View()
		_, _, news := c.reports.Seen()
		if err := l.decide(ctx, v); err != nil && ctx.Err() == nil {
			c.log.Warn("leader could not write a decision", "term", term, "err", err)
			pause.For(ctx, leaderTick/4)
			continue
		}
		breathe(ctx, time.Since(begun))
		c.await(ctx, decidesOn, v.Revision(), news)
	}
}

// breathe keeps what reads the whole state at each change from keeping a processor busy while a thousand changes come: it
// rests three times as long as it has worked, and half a second at most.
func breathe(ctx context.Context, worked time.Duration) { pause.For(ctx, min(3*worked, time.Second/2)) }

// scene is the state that one pass decides from.
type scene struct {
	view     *store.View
	bundles  []object[v1alpha1.Bundle]
	clusters []object[v1alpha1.Cluster]
	rollouts []object[v1alpha1.Rollout]
	grants   []object[v1alpha1.Grant]
	tombs    []object[v1alpha1.Tombstone]

	// Made from the above, once a pass: what plan decides by, and the same grants as they lie in the log.
	plan.Scene
	named map[string]map[string]object[v1alpha1.Grant]
	// looking are the clusters that only look.
	looking map[string]bool
}

func (l *leader) look(v *store.View) (s scene, err error) {
	s = scene{view: v, looking: map[string]bool{}}
	for name := range epoch.Looking(v) {
		s.looking[name] = true
	}
	var errs [5]error
	s.bundles, errs[0] = l.bundles.list(v)
	s.clusters, errs[1] = l.clusters.list(v)
	s.rollouts, errs[2] = l.rollouts.list(v)
	s.grants, errs[3] = l.grants.list(v)
	s.tombs, errs[4] = l.tombs.list(v)
	s.Scene = plan.Scene{Now: l.now(), Grants: map[string]map[string]v1alpha1.Grant{}, Sightings: map[string]plan.Sighting{}}
	for _, c := range s.clusters {
		s.Clusters = append(s.Clusters, *c.value)
	}
	known, _ := l.told.known(v)
	for cluster, seen := range l.sightings(v) {
		p := planned(seen, time.Now())
		if a := known[cluster].Aggregated; a != nil {
			p.Aggregated = metav1.Condition{Status: a.Status, Reason: a.Reason, Message: a.Message}
		}
		s.Sightings[cluster] = p
	}
	s.named = map[string]map[string]object[v1alpha1.Grant]{}
	for _, g := range s.grants {
		cluster, bundle := v1alpha1.CutGrantKey(g.key)
		if s.named[bundle] == nil {
			s.named[bundle], s.Grants[bundle] = map[string]object[v1alpha1.Grant]{}, map[string]v1alpha1.Grant{}
		}
		s.named[bundle][cluster], s.Grants[bundle][cluster] = g, *g.value
	}
	return s, errors.Join(errs[:]...)
}

// planned is a sighting as plan decides by it.
func planned(s report.Sighting, now time.Time) plan.Sighting {
	p := plan.Sighting{Fresh: s.Fresh(now), Works: map[string]v1alpha1.WorkStatus{}}
	for name, r := range s.Bundles {
		p.Works[name] = r.Status
	}
	return p
}

// sightings is what was seen last of each cluster, by the cluster's name.
func (c *Core) sightings(v *store.View) map[string]report.Sighting {
	seen, _, _ := c.reports.Seen()
	by := make(map[string]report.Sighting, len(seen))
	for _, m := range v.Members() {
		if s, ok := seen[m.ID]; ok {
			by[m.Cluster] = s
		}
	}
	return by
}

// decide makes one pass over everything that a leader decides. Grants come first: what else there is to say is said
// in the pass that they cause.
func (l *leader) decide(ctx context.Context, v *store.View) error {
	if v.Revision() == 0 {
		return l.found(ctx)
	}
	s, err := l.look(v)
	if err != nil {
		return err
	}
	if err := l.tellTime(ctx, s); err != nil {
		return err
	}
	if epoch.NobodyActs(v) { // nothing is granted, withdrawn or collected before a person says go
		return errors.Join(l.writeStatuses(ctx, s), l.orderBackup(ctx, s))
	}
	var errs []error
	for _, b := range s.bundles {
		if b.key == v1alpha1.KeyBundles+b.value.Name {
			errs = append(errs, l.advance(ctx, s, b))
		}
	}
	for _, t := range s.tombs {
		errs = append(errs, l.withdrawDeleted(ctx, s, t))
	}
	if l.store.View().Revision() == v.Revision() {
		errs = append(errs, l.writeStatuses(ctx, s), l.collect(ctx, s), l.raise(ctx, s))
	}
	return errors.Join(append(errs, l.forget(ctx, s), l.orderBackup(ctx, s))...)
}

// toldEvery is how far the log's time may be behind.
const toldEvery = time.Hour

// tellTime lets time pass in the log of a fleet that writes nothing: what people write is held to that time, and they may come
// after days.
func (l *leader) tellTime(ctx context.Context, s scene) error {
	if s.Now.Sub(s.view.Time()) < toldEvery {
		return nil
	}
	_, err := l.node.Propose(ctx, consensus.Proposal{Term: l.term})
	return err
}

// write proposes a decision. One that was overtaken by another write is no error: the next pass sees it.
func (l *leader) write(ctx context.Context, conditions []store.Condition, ops ...store.Op) error {
	if len(ops) == 0 {
		return nil
	}
	_, err := l.node.Propose(ctx, consensus.Proposal{Term: l.term, Txn: store.Txn{If: conditions, Then: ops}})
	var overtaken *store.Conflict
	if errors.As(err, &overtaken) {
		return nil
	}
	return err
}

// advance grants the next wave of a bundle's rollout.
func (l *leader) advance(ctx context.Context, s scene, b object[v1alpha1.Bundle]) error {
	situation := plan.Situation{Bundle: b.value, Clusters: s.Clusters, Grants: s.Grants[b.value.Name], Away: map[string]bool{}, Looking: s.looking}
	for _, c := range s.Clusters {
		situation.Away[c.Name] = !s.Sightings[c.Name].Fresh
	}
	step, err := plan.Advance(situation)
	if err != nil || step.Empty() {
		return err
	}
	return l.grant(ctx, s, b, s.named[b.value.Name], step)
}

// grant writes one wave: the grants, and the rollout that says so. It holds only while the bundle and the grants
// that it replaces are as they were.
func (l *leader) grant(ctx context.Context, s scene, b object[v1alpha1.Bundle], named map[string]object[v1alpha1.Grant], step plan.Step) error {
	uid := string(b.value.UID)
	revision := v1alpha1.RevisionName(b.value.Name, uid, b.value.Generation)
	conditions := []store.Condition{store.KeyAt(b.key, b.modified)}
	var ops []store.Op
	put := func(cluster string, g v1alpha1.Grant) error {
		key := v1alpha1.GrantKey(cluster, b.value.Name)
		if old, ok := named[cluster]; ok {
			conditions = append(conditions, store.KeyAt(key, old.modified))
		} else {
			conditions = append(conditions, store.KeyAbsent(key))
		}
		op, err := law.Put(key, g)
		ops = append(ops, op)
		return err
	}
	var errs []error
	for _, c := range step.Clusters {
		errs = append(errs, put(c, v1alpha1.Grant{Bundle: b.value.Name, BundleUID: uid, Revision: revision}))
	}
	for _, c := range step.Withdraw {
		errs = append(errs, put(c, v1alpha1.Grant{Bundle: b.value.Name, BundleUID: named[c].value.BundleUID, Withdraw: true}))
	}
	rolled, err := s.rollOut(b.value, revision, step.Wave)
	if err := errors.Join(append(errs, err)...); err != nil {
		return err
	}
	for _, c := range step.Clusters {
		conditions = append(conditions, store.KeyAt(v1alpha1.KeyClusters+c, s.clusterModified(c)))
	}
	return l.write(ctx, conditions, append(ops, rolled...)...)
}

func (s scene) clusterModified(name string) store.Revision {
	for _, c := range s.clusters {
		if c.value.Name == name {
			return c.modified
		}
	}
	return 0
}

// rollOut adds a wave to the rollout of a revision, and supersedes the bundle's earlier rollouts.
func (s scene) rollOut(b *v1alpha1.Bundle, revision string, wave v1alpha1.Wave) (ops []store.Op, err error) {
	r := &v1alpha1.Rollout{
		TypeMeta:   v1alpha1.TypeOf("Rollout"),
		ObjectMeta: newMeta(revision),
		Spec:       v1alpha1.RolloutSpec{Bundle: b.Name, BundleUID: string(b.UID), Revision: revision},
	}
	var errs []error
	put := func(key string, before, after any) {
		kv, there := s.view.Get(key)
		op, err := law.Amend(kv, before, after)
		if !there {
			op, err = law.Put(key, after)
		}
		ops, errs = append(ops, op), append(errs, err)
	}
	before := r
	for _, old := range s.rollouts {
		switch {
		case old.value.Name == revision:
			before, r = old.value, old.value.DeepCopy()
		case old.value.Spec.Bundle == b.Name && old.value.Status.Phase == v1alpha1.RolloutRunning:
			superseded := old.value.DeepCopy()
			superseded.Status.Phase = v1alpha1.RolloutSuperseded
			plan.SetReady(&superseded.Status.Conditions, metav1.ConditionFalse, "Superseded", "by "+revision, 1, s.Now)
			put(old.key, old.value, superseded)
		}
	}
	r.Spec.Waves = append(r.Spec.Waves, wave)
	r.Status.Phase, r.Status.Wave = v1alpha1.RolloutRunning, int32(len(r.Spec.Waves))
	plan.SetReady(&r.Status.Conditions, metav1.ConditionFalse, "Progressing", fmt.Sprintf("wave %d is granted", r.Status.Wave), 1, s.Now)
	put(v1alpha1.KeyRollouts+revision, before, r)
	return ops, errors.Join(errs...)
}

// withdrawDeleted tells every cluster on the tombstone of a deleted bundle to withdraw it. A cluster that has no
// grant of it any more, because a new bundle of the same name adopted its objects, is struck off.
func (l *leader) withdrawDeleted(ctx context.Context, s scene, t object[v1alpha1.Tombstone]) error {
	conditions := []store.Condition{store.KeyAt(t.key, t.modified)}
	var ops []store.Op
	named := s.named[t.value.Bundle]
	left := *t.value
	left.Clusters = nil
	for _, cluster := range t.value.Clusters {
		g, ok := named[cluster]
		if s.looking[cluster] {
			left.Clusters = append(left.Clusters, cluster)
			continue
		}
		if !ok || g.value.BundleUID != t.value.BundleUID {
			continue
		}
		left.Clusters = append(left.Clusters, cluster)
		if g.value.Withdraw {
			continue
		}
		op, err := law.Put(g.key, v1alpha1.Grant{Bundle: t.value.Bundle, BundleUID: t.value.BundleUID, Withdraw: true})
		if err != nil {
			return err
		}
		conditions, ops = append(conditions, store.KeyAt(g.key, g.modified)), append(ops, op)
	}
	switch {
	case len(left.Clusters) == 0:
		ops = append(ops, store.Delete(t.key))
	case len(left.Clusters) < len(t.value.Clusters):
		op, err := law.Put(t.key, left)
		if err != nil {
			return err
		}
		ops = append(ops, op)
	}
	return l.write(ctx, conditions, ops...)
}

// collect deletes what nothing refers to any more: old revisions and rollouts of bundles, and tokens long ended.
func (l *leader) collect(ctx context.Context, s scene) error {
	revisions, err := l.revisions.list(s.view)
	if err != nil {
		return err
	}
	kept := make([]plan.Kept, 0, len(revisions))
	for _, r := range revisions {
		name := strings.TrimPrefix(r.key, v1alpha1.KeyBundleRevisions)
		kept = append(kept, plan.Kept{Name: name, BundleUID: r.value.Spec.BundleUID, Written: uint64(r.modified)})
	}
	inUse, alive := map[string]bool{}, map[string]bool{}
	for _, g := range s.grants {
		inUse[g.value.Revision] = true
	}
	for _, b := range s.bundles {
		alive[string(b.value.UID)] = true
		inUse[v1alpha1.RevisionName(b.value.Name, string(b.value.UID), b.value.Generation)] = true
	}
	conditions := []store.Condition{store.PrefixUnchanged(v1alpha1.KeyGrants, s.view.Revision())}
	var ops []store.Op
	for _, name := range plan.Surplus(kept, inUse, alive) {
		ops = append(ops, store.Delete(v1alpha1.KeyBundleRevisions+name), store.Delete(v1alpha1.KeyRollouts+name))
	}
	tokens, err := l.tokens.list(s.view)
	if err != nil {
		return err
	}
	for _, t := range tokens {
		if t.value.Forgotten(s.Now) {
			ops = append(ops, store.Delete(t.key))
		}
	}
	return l.write(ctx, conditions, ops...)
}
