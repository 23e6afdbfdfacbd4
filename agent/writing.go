package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/law"
	"github.com/hanse-fleet/hanse/plan"
)

const (
	// bytesAtOnce is what a transaction of decisions takes of an entry of the log, about: each waits for the one before it to be written.
	bytesAtOnce = 192 << 10
	// roomInEntry is what the grants of one step may take at most: they are written at once.
	roomInEntry = store.MaxEntry - store.EntryOverhead - 64<<10 // for the rollout
)

// writing writes steps, as many at once as there is room for. Each holds only while what it was decided from is as it was: the
// rollouts, all of them, who was removed, what the fleet says, the bundle, the grants that it replaces and their clusters. So no two leaders, and no
// two decisions, open a fault domain each that the other did not know of. A secret's group says where that goes.
type writing struct {
	*leader
	scene scene
	// rollouts is the revision since which nobody else may have written a rollout.
	rollouts   store.Revision
	conditions []store.Condition
	ops        []store.Op
	bytes      int
	at         map[string]int  // where in ops each key is
	expected   map[string]bool // the keys of conditions
	written    map[string]bool
	metas      map[string]metav1.ObjectMeta
}

func (l *leader) newWriting(s scene) *writing {
	return &writing{
		leader: l, scene: s, rollouts: s.view.Revision(), at: map[string]int{}, expected: map[string]bool{}, written: map[string]bool{},
		metas: map[string]metav1.ObjectMeta{},
	}
}

// freeze fills in what a step's grants take from their clusters. It fails when the step cannot be written.
func (w *writing) freeze(step plan.Step) error {
	need := 0
	for cluster, g := range step.Grants {
		if g.Withdraw || g.Held {
			continue
		}
		frozen, err := w.scene.frozenIn(cluster, g)
		if err != nil {
			return err
		}
		g.Frozen = frozen
		step.Grants[cluster] = g
		op, err := law.Put(v1alpha1.GrantKey(cluster, step.Bundle), g)
		if err != nil {
			return err
		}
		need += cost(op)
	}
	if need > roomInEntry {
		return fmt.Errorf("its grants in %s are %d KiB, too much for one entry of the log; divide its waves by spec.rollout.domain",
			v1alpha1.Counted(len(step.Grants), "1 cluster", "%d clusters"), need>>10)
	}
	return nil
}

// add adds a step. What holds clusters back may be written before the rest. All else is written at once: no cluster may do anything
// in a fault domain that no rollout has, and none waits for what it was never granted.
func (w *writing) add(ctx context.Context, step plan.Step) (written bool, err error) {
	var ops []store.Op
	for _, cluster := range slices.Sorted(maps.Keys(step.Grants)) {
		g := step.Grants[cluster]
		op, err := law.Put(v1alpha1.GrantKey(cluster, step.Bundle), g)
		if err != nil {
			return false, err
		}
		if !g.Held {
			ops = append(ops, op)
			continue
		}
		if written, err := w.room(ctx, cost(op)); err != nil || !written {
			return false, err
		}
		w.expectRolled(step.Bundle)
		w.putGrant(op)
	}
	for _, r := range step.Rollouts {
		op, err := w.rolloutOp(r)
		if err != nil {
			return false, err
		}
		ops = append(ops, op)
	}
	need := 0
	for _, op := range ops {
		need += cost(op)
	}
	if written, err := w.room(ctx, need); err != nil || !written {
		return false, err
	}
	w.expectRolled(step.Bundle)
	for _, op := range ops {
		if strings.HasPrefix(op.Key, v1alpha1.KeyGrants) {
			w.putGrant(op)
		} else {
			w.put(op)
		}
	}
	return true, nil
}

// putGrant puts a grant while that is as it was, and its cluster: relabelled meanwhile, it is in another fault domain, and removed, it is granted nothing.
func (w *writing) putGrant(op store.Op) {
	cluster, _ := v1alpha1.CutGrantKey(op.Key)
	w.expect(op.Key)
	w.expect(v1alpha1.KeyClusters + cluster)
	w.put(op)
}

// cost is what an op, its condition and that of its cluster take of an entry, about.
func cost(op store.Op) int { return 3*len(op.Key) + len(op.Value) + 96 }

// room writes what there is, if it leaves no room for so many bytes more.
func (w *writing) room(ctx context.Context, bytes int) (written bool, err error) {
	if w.bytes == 0 || w.bytes+bytes <= bytesAtOnce {
		return true, nil
	}
	return w.flush(ctx)
}

// expect wants a key to be as it was, unless this pass has written it.
func (w *writing) expect(key string) {
	if _, again := w.at[key]; again || w.written[key] || w.expected[key] {
		return
	}
	w.expected[key] = true
	w.conditions = append(w.conditions, w.scene.view.AsSeen(key))
}

// expectRolled wants what is rolled out under a name to be as it was, and where.
func (w *writing) expectRolled(name string) {
	w.expect(v1alpha1.RolledOutOf(name).Key())
	if group, _ := w.decoded.Bundles.GroupOf(w.scene.view, name); group != "" { // of one that cannot be read nobody knows it
		w.expect(v1alpha1.KeyRecipientGroups + group)
	}
}

// put writes a key once, as the last step says.
func (w *writing) put(op store.Op) {
	w.bytes += cost(op)
	if i, again := w.at[op.Key]; again {
		w.bytes -= cost(w.ops[i])
		w.ops[i] = op
		return
	}
	w.at[op.Key] = len(w.ops)
	w.ops = append(w.ops, op)
}

func (w *writing) rolloutOp(r *v1alpha1.Rollout) (store.Op, error) {
	key := v1alpha1.KeyRollouts + r.Name
	w.statusWritten[key] = w.scene.plan.Now
	if before := w.scene.rollout(r.Name); before != nil {
		kv, _ := w.scene.view.Get(key)
		return law.Amend(kv, before.Value, r)
	}
	meta, made := w.metas[r.Name]
	if !made {
		meta = newMeta(r.Name)
		w.metas[r.Name] = meta
	}
	meta.CreationTimestamp = r.CreationTimestamp
	r.ObjectMeta = meta
	return law.Put(key, r)
}

// flush writes what was added. False says that somebody else was faster: the next pass sees it.
func (w *writing) flush(ctx context.Context) (written bool, err error) {
	if len(w.ops) == 0 {
		return true, nil
	}
	result, err := w.node.Propose(ctx, consensus.Proposal{Term: w.term, Txn: w.txn()})
	var overtaken *store.Conflict
	if errors.As(err, &overtaken) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("write rollouts: %w", err)
	}
	for key := range w.at {
		w.written[key] = true
	}
	w.rollouts, w.conditions, w.ops, w.bytes = result.Revision, nil, nil, 0
	w.at, w.expected = map[string]int{}, map[string]bool{}
	return true, nil
}

// txn is what was added, and what it rests on.
func (w *writing) txn() store.Txn {
	seen := w.scene.view.Revision()
	return store.Txn{If: append(slices.Clone(w.conditions), store.PrefixUnchanged(v1alpha1.KeyRollouts, w.rollouts),
		store.PrefixUnchanged(v1alpha1.KeyFleets, seen), store.PrefixUnchanged(store.KeyRemoved, seen)), Then: w.ops}
}
