package agent

import (
	"context"
	"iter"
	"slices"
	"strings"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/law"
	"github.com/hanse-fleet/hanse/plan"
)

// collect deletes what nothing refers to any more: old revisions and rollouts of bundles, and tokens long ended. Rollouts come last: the rest is decided by
// those that are there.
func (l *leader) collect(ctx context.Context, s scene) error {
	unknown := func(string) bool { return false }
	if _, garbled := l.decoded.Bundles.Secrets.Readable(s.view); len(garbled) > 0 { // nobody knows what it needs
		unknown = func(name string) bool { return v1alpha1.RolledOutOf(name).IsSecret() }
	}
	revisions, _ := l.revisions.Readable(s.view)
	situation, err := l.situation(s)
	if err != nil {
		return err
	}
	use := situation.Uses()
	kept := make([]plan.Kept, 0, len(revisions))
	for _, r := range revisions {
		name := strings.TrimPrefix(r.Key, v1alpha1.KeyBundleRevisions)
		if unknown(name) {
			continue
		}
		kept = append(kept, plan.Kept{Name: name, BundleUID: r.Value.Spec.BundleUID, Written: uint64(r.Modified)})
	}
	seen := s.view.Revision()
	conditions := []store.Condition{store.PrefixUnchanged(v1alpha1.KeyGrants, seen), store.PrefixUnchanged(v1alpha1.KeyRollouts, seen)}
	sealed, rest := forgets(s.view, plan.Surplus(kept, use.Revisions, use.Alive))
	for _, w := range sealed {
		if err := l.write(ctx, append(slices.Clone(conditions), w.If...), w.Then...); err != nil {
			return err
		}
	}
	ops := rest
	for kv := range s.view.Iterate(v1alpha1.KeySealings, "") { // written while the revision was deleted
		name := strings.TrimPrefix(kv.Key, v1alpha1.KeySealings)
		if _, there := s.view.Get(v1alpha1.KeyBundleRevisions + name); !there && !unknown(name) {
			ops = append(ops, store.Delete(kv.Key))
		}
	}
	tokens, err := l.tokens.List(s.view)
	if err != nil {
		return err
	}
	for _, t := range tokens {
		if t.Value.Forgotten(s.plan.Now) {
			ops = append(ops, store.Delete(t.Key))
		}
	}
	kept = kept[:0]
	for _, r := range s.rollouts {
		if unknown(r.Value.Name) {
			continue
		}
		kept = append(kept, plan.Kept{Name: r.Value.Name, BundleUID: r.Value.Spec.BundleUID, Written: uint64(r.Modified)})
	}
	for _, name := range plan.Surplus(kept, use.Rollouts, use.Alive) {
		ops = append(ops, store.Delete(v1alpha1.KeyRollouts+name))
	}
	return l.writeSome(ctx, conditions, ops)
}

// writeSome writes ops, as many at once as an entry of the log takes, until somebody else is faster: the next pass goes on.
func (l *leader) writeSome(ctx context.Context, conditions []store.Condition, ops []store.Op) error {
	for some := range divided(ops) {
		if written, err := l.proposeDecision(ctx, l.term, conditions, some...); err != nil || !written {
			return err
		}
	}
	return nil
}

// divided are ops in their order, as many together as fit into an entry of the log with others' conditions.
func divided(ops []store.Op) iter.Seq[[]store.Op] {
	return func(yield func([]store.Op) bool) {
		from, bytes := 0, 0
		for i, op := range ops {
			if bytes += cost(op); i > from && bytes > bytesAtOnce {
				if !yield(ops[from:i]) {
					return
				}
				from, bytes = i, cost(op)
			}
		}
		if from < len(ops) {
			yield(ops[from:])
		}
	}
}

// revisionsAtOnce is how many revisions of secrets go with one write. It comes to nothing when somebody writes one of those secrets meanwhile; those of others go
// all the same, and the next pass tries again.
const revisionsAtOnce = 16

// forgets is what deletes revisions that nobody needs: those of secrets in writes that hold only while what was seen of the secrets stays so.
func forgets(v *store.View, unneeded []string) (sealed []store.Txn, others []store.Op) {
	ofSecret := func(name string) bool { return v1alpha1.RolledOutOf(name).IsSecret() }
	stays := func(name string) bool { return !slices.Contains(unneeded, name) }
	others = forget(v, slices.DeleteFunc(slices.Clone(unneeded), ofSecret), stays).Then
	secrets := slices.DeleteFunc(slices.Clone(unneeded), func(name string) bool { return !ofSecret(name) })
	for some := range slices.Chunk(secrets, revisionsAtOnce) {
		sealed = append(sealed, forget(v, some, stays))
	}
	return sealed, others
}

// forget deletes revisions, with what is known of how they are sealed. One stays as long as what was sealed again of it alone opens another that stays.
func forget(v *store.View, revisions []string, stays func(revision string) bool) (w store.Txn) {
	for _, name := range revisions {
		if law.OnlySource(v, name, stays) != "" {
			continue
		}
		w.If = append(w.If, law.OnlySourceSeen(v, name)...)
		w.Then = append(append(w.Then, store.Delete(v1alpha1.KeyBundleRevisions+name)), law.Unseal(v, name)...)
	}
	return w
}
