package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/epoch"
	"github.com/hanse-fleet/hanse/keep"
	"github.com/hanse-fleet/hanse/law"
	"github.com/hanse-fleet/hanse/plan"
	"github.com/hanse-fleet/hanse/reconcile"
	"github.com/hanse-fleet/hanse/render"
)

// grants hands the reconciler what its cluster was granted. Before it hands anything out, it has the state that this
// came from recorded as the last good one, so that a restart never acts on an older state.
type grants struct {
	core *Core
	latest[[]reconcile.Grant]
	// had is what they were made from last, stopped what was suspended then, gates those to look at, by bundle, and correct what is to
	// be put right. Only follow uses them.
	had     string
	keys    grantKeys
	stopped suspensions
	gates   map[string][]v1alpha1.RolloutGate
	correct map[string]v1alpha1.Correction
	opening *keep.Opening
	// filled are what the grants of the last reading brought, by bundle. What was opened is in memory here, and in what the reconciler has.
	filled map[string]filled
}

func newGrants(c *Core) *grants {
	return &grants{core: c, opening: keep.NewOpening(c.holder(), c.decoded)}
}

// follow keeps the grants as the log says, until ctx ends.
func (g *grants) follow(ctx context.Context) error {
	me := g.core.self.Cluster
	own := v1alpha1.KeyGrants + me + "/"
	from := append([]string{
		own, v1alpha1.KeyObserving + me, v1alpha1.KeyRecipientGroups, v1alpha1.KeyRollouts, v1alpha1.KeyClusters + me,
	}, v1alpha1.RolledOutPrefixes...)
	return g.core.follow(ctx, from, func(v *store.View) error {
		if v.Revision() == 0 {
			return nil
		}
		stopped, err := g.core.suspensions(v, g.stopped)
		if err != nil { // what cannot be read of others must not end what is granted here
			g.core.log.Error("it is not known what is suspended; what was, is", "err", err)
			stopped = g.stopped
		}
		g.stopped = stopped
		gates, err := g.core.gatesHere(v)
		if err != nil {
			g.core.log.Error("it is not known what rollouts ask of objects here; what they asked before is looked at", "err", err)
			gates = g.gates
		}
		g.gates = gates
		correct, err := g.core.corrections(v)
		if err != nil {
			g.core.log.Error("it is not known what is to be put right once; what was, is", "err", err)
			correct = g.correct
		}
		g.correct = correct
		has := g.madeFrom(v, own)
		if has == g.had { // a bundle changed, and nothing of it is granted here by that
			return nil
		}
		next, err := g.read(v, own)
		if err != nil {
			return err
		}
		if err := g.core.node.Record(v); err != nil {
			return err
		}
		g.had = has
		g.set(next, true)
		return nil
	})
}

// madeFrom tells apart what grants are made from.
func (g *grants) madeFrom(v *store.View, own string) string {
	said := fmt.Appendf(nil, "%v %v %v", v.Epoch(), epoch.Looks(v, g.core.self.Cluster), g.stopped)
	g.keys.bring(v, own)
	said = append(said, g.keys.text...)
	for _, bundle := range slices.Sorted(maps.Keys(g.gates)) {
		for _, gate := range g.gates[bundle] {
			said = fmt.Appendf(said, "\n%s %s %v %v", bundle, gate.Name, *gate.Object, *gate.Condition)
		}
	}
	for _, bundle := range slices.Sorted(maps.Keys(g.correct)) {
		said = fmt.Appendf(said, "\n%s %d", bundle, g.correct[bundle].Number)
	}
	return string(said)
}

// grantKeys are the keys of a cluster's grants, and of all groups, with when each was written. Each write of any bundle is looked at, and few of them are of one.
type grantKeys struct {
	at   store.Revision // that they are of; 0: nothing was read
	in   store.Epoch
	text []byte
}

func (k *grantKeys) bring(v *store.View, own string) {
	prefixes := []string{own, v1alpha1.KeyRecipientGroups}
	if k.at == 0 || k.in != v.Epoch() || v.Written(prefixes, k.at) {
		k.text = nil
		for _, prefix := range prefixes {
			for kv := range v.Iterate(prefix, "") {
				k.text = fmt.Appendf(k.text, "\n%s %d", kv.Key, kv.Modified)
			}
		}
	}
	k.at, k.in = v.Revision(), v.Epoch()
}

// gatesHere are the gates by objects that rollouts have to pass in this member's cluster, by bundle.
func (c *Core) gatesHere(v *store.View) (map[string][]v1alpha1.RolloutGate, error) {
	rollouts, err := c.decoded.Rollouts.List(v)
	if err != nil {
		return nil, err
	}
	gates := map[string][]v1alpha1.RolloutGate{}
	for _, o := range rollouts {
		if of := plan.ObjectGates(o.Value, c.self.Cluster); len(of) > 0 {
			gates[o.Value.Spec.Bundle] = of
		}
	}
	return gates, nil
}

func (g *grants) read(v *store.View, own string) ([]reconcile.Grant, error) {
	e := v.Epoch()
	observe := epoch.Looks(v, g.core.self.Cluster)
	var all []reconcile.Grant
	g.opening.Begin(v)
	next := map[string]filled{}
	for _, kv := range v.List(own) {
		var record v1alpha1.Grant
		if err := json.Unmarshal(kv.Value, &record); err != nil {
			return nil, fmt.Errorf("read %s: %w", law.Thing(kv.Key), err)
		}
		if record.Held {
			continue // as if there were none: nothing is touched
		}
		grant := reconcile.Grant{
			Bundle: record.Bundle, BundleUID: record.BundleUID, Revision: record.Revision, Withdraw: record.Withdraw, At: int64(kv.Modified),
			Suspended: g.stopped.of(record.Bundle), Gates: g.gates[record.Bundle], Correct: g.correct[record.Bundle],
			StoreRevision: uint64(epoch.DecidedAt(v, kv.Modified, record)),
			Epoch:         reconcile.Epoch{Number: e.Number, ID: e.ID, Began: uint64(e.Began)},
		}
		grant.Observe = observe || grant.Suspended != ""
		if !record.Withdraw {
			f, err := g.fill(v, grant, record.Frozen)
			if err != nil {
				// Without its content there is no such grant: what runs of it is left alone.
				g.core.log.Error("grant cannot be carried out", "bundle", grant.Bundle, "revision", grant.Revision, "err", err)
				continue
			}
			f.put(&grant)
			next[grant.Bundle] = f
		}
		all = append(all, grant)
	}
	g.filled = next
	return all, nil
}

// filled is what a grant brings: the content of its revision, rendered for this cluster, and opened.
type filled struct {
	at       int64 // of the grant
	in       store.Epoch
	group    string // that it is sealed for; "": it is not
	drift    v1alpha1.DriftPolicy
	deletion v1alpha1.DeletionPolicy
	adopt    v1alpha1.AdoptPolicy
	frozen   string
	objects  []unstructured.Unstructured
	fault    string
}

func (f filled) put(g *reconcile.Grant) {
	g.Drift, g.Deletion, g.Adopt, g.Frozen, g.Objects, g.Fault = f.drift, f.deletion, f.adopt, f.frozen, f.objects, f.fault
}

// fill is what a grant brings. A revision never changes, so that what was read for the same grant before is that still: a change of one
// does not cost reading, and opening, a thousand.
func (g *grants) fill(v *store.View, grant reconcile.Grant, frozen *v1alpha1.Frozen) (filled, error) {
	was, known := g.filled[grant.Bundle]
	if known && was.at == grant.At && was.in == v.Epoch() && was.fault == "" && (was.group == "" || g.opening.Holds(was.group)) {
		if v.Has(v1alpha1.KeyBundleRevisions + grant.Revision) {
			return was, nil
		}
	}
	return g.fillAnew(v, grant, frozen)
}

func (g *grants) fillAnew(v *store.View, grant reconcile.Grant, frozen *v1alpha1.Frozen) (f filled, err error) {
	r, err := revisionIn(v, grant.Revision)
	if err != nil {
		return f, err
	}
	if r.Spec.Bundle != grant.Bundle || r.Spec.BundleUID != grant.BundleUID {
		return f, fmt.Errorf("revision %s is of bundle %s (%s), the grant of %s (%s)", grant.Revision, r.Spec.Bundle, r.Spec.BundleUID, grant.Bundle, grant.BundleUID)
	}
	f = filled{at: grant.At, in: v.Epoch(), drift: r.Spec.Drift, deletion: r.Spec.Deletion, adopt: r.Spec.Adopt}
	if frozen != nil {
		said, err := json.Marshal(frozen)
		if err != nil {
			return f, fmt.Errorf("write what is frozen: %w", err)
		}
		f.frozen = string(said)
	}
	objects, err := render.Render(r.Spec.BundleContent, frozen)
	if err == nil {
		objects, f.group, err = g.opening.Open(v, grant.Revision, objects)
	}
	if f.objects = objects; err != nil {
		f.fault = err.Error() // what runs stays, and the Work says why
	}
	return f, nil
}

// Withdrawn strikes the member's grant of a bundle, and the member off the bundle's tombstone, in one transaction.
// The reconciler calls it when nothing of the bundle is left, and again if it fails.
func (c *Core) Withdrawn(ctx context.Context, bundle, uid string) error {
	if _, err := c.node.Read(ctx); err != nil {
		return err
	}
	v := c.store.View()
	kv, ok := v.Get(v1alpha1.GrantKey(c.self.Cluster, bundle))
	if !ok {
		return nil
	}
	var g v1alpha1.Grant
	if err := json.Unmarshal(kv.Value, &g); err != nil {
		return fmt.Errorf("read %s: %w", law.Thing(kv.Key), err)
	}
	if !g.Withdraw || g.BundleUID != uid {
		return nil // granted again meanwhile
	}
	txn := store.Txn{If: []store.Condition{store.KeyAt(kv.Key, kv.Modified)}, Then: []store.Op{store.Delete(kv.Key)}}
	if tomb, ok := v.Get(v1alpha1.KeyTombstones + uid); ok {
		op, changed, err := law.Strike(tomb, c.self.Cluster)
		if err != nil {
			return err
		}
		if changed {
			txn.If, txn.Then = append(txn.If, store.KeyAt(tomb.Key, tomb.Modified)), append(txn.Then, op)
		}
	}
	_, err := c.node.Propose(ctx, consensus.Proposal{Txn: txn})
	return err
}
