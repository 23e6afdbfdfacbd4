package agent

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/law"
	"github.com/hanse-fleet/hanse/plan"
)

// collect deletes what nothing refers to any more: old revisions and rollouts of bundles, and tokens long ended.
func (l *leader) collect(ctx context.Context, s scene) error {
	c, err := l.surplus(s)
	return errors.Join(err, c.delete(func(txn store.Txn) (store.Revision, error) { return l.proposeTxn(ctx, l.term, txn) }))
}

// collection is what is to be deleted, as of a revision. Rollouts come last: the rest is decided by those that are there.
type collection struct {
	seen    store.Revision
	secrets store.Txn
	others  []store.Op
}

// surplus is what nothing refers to any more. What cannot be read is not of it, and an error.
func (l *leader) surplus(s scene) (collection, error) {
	c := collection{seen: s.view.Revision()}
	unknown := func(string) bool { return false }
	if _, garbled := l.decoded.Bundles.Secrets.Readable(s.view); len(garbled) > 0 { // nobody knows what it needs
		unknown = func(name string) bool { return v1alpha1.RolledOutOf(name).IsSecret() }
	}
	revisions, _ := l.revisions.Readable(s.view)
	situation, err := l.situation(s)
	if err != nil {
		return c, err
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
	c.secrets, c.others, l.looked = forgets(s.view, plan.Surplus(kept, use.Revisions, use.Alive), l.looked)
	for kv := range s.view.Iterate(v1alpha1.KeySealings, "") { // written while the revision was deleted
		name := strings.TrimPrefix(kv.Key, v1alpha1.KeySealings)
		if !s.view.Has(v1alpha1.KeyBundleRevisions+name) && !unknown(name) {
			c.others = append(c.others, store.Delete(kv.Key))
		}
	}
	tokens, err := l.tokens.List(s.view)
	for _, t := range tokens {
		if t.Value.Forgotten(s.plan.Now) {
			c.others = append(c.others, store.Delete(t.Key))
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
		c.others = append(c.others, store.Delete(v1alpha1.KeyRollouts+name))
	}
	return c, err
}

// delete proposes it, what is of secrets by itself: whatever comes of that, the rest goes, until somebody else writes grants or rollouts. propose returns the
// revision that it made, 0 when somebody was faster: the next pass goes on then.
func (c collection) delete(propose func(store.Txn) (store.Revision, error)) (err error) {
	unchanged := func(since store.Revision) []store.Condition {
		return []store.Condition{store.PrefixUnchanged(v1alpha1.KeyGrants, since), store.PrefixUnchanged(v1alpha1.KeyRollouts, since)}
	}
	if len(c.secrets.Then) > 0 {
		_, err = propose(store.Txn{If: append(unchanged(c.seen), c.secrets.If...), Then: c.secrets.Then})
	}
	since := c.seen
	for some := range divided(c.others) { // as many at once as an entry of the log takes
		written, refused := propose(store.Txn{If: unchanged(since), Then: some})
		if refused != nil || written == 0 {
			return errors.Join(err, refused)
		}
		since = written // its own rollouts
	}
	return err
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

// revisionsAtOnce is how many revisions of secrets a pass looks at: for each it reads all of its secret. They go with one write, or not at all when somebody
// writes one of those secrets meanwhile.
const revisionsAtOnce = 32

// forgets is what deletes revisions that nobody needs, named in order: all of bundles, and of those of secrets as many as have their turn after one, in a write
// that holds only while what was seen of the secrets stays so. last is the last one that had its turn.
func forgets(v *store.View, unneeded []string, after string) (sealed store.Txn, others []store.Op, last string) {
	ofSecret := func(name string) bool { return v1alpha1.RolledOutOf(name).IsSecret() }
	stays := func(name string) bool {
		_, goes := slices.BinarySearch(unneeded, name)
		return !goes
	}
	others = forget(v, slices.DeleteFunc(slices.Clone(unneeded), ofSecret), stays).Then
	secrets := turn(slices.DeleteFunc(slices.Clone(unneeded), func(name string) bool { return !ofSecret(name) }), after, revisionsAtOnce)
	if len(secrets) > 0 {
		after = secrets[len(secrets)-1]
	}
	return forget(v, secrets, stays), others, after
}

// turn are the next names after one, at most so many: those that stay keep none of the others waiting. After the last one comes the first.
func turn(names []string, after string, most int) []string {
	at, there := slices.BinarySearch(names, after)
	if there {
		at++
	}
	return slices.Concat(names[at:], names[:at])[:min(most, len(names))]
}

// forget deletes revisions, with what is known of how they are sealed. One stays as long as what was sealed again of it alone opens another that stays.
func forget(v *store.View, revisions []string, stays func(revision string) bool) (w store.Txn) {
	for _, name := range revisions {
		if law.OnlySource(v, name, stays) != "" {
			continue
		}
		for _, c := range law.OnlySourceSeen(v, name) {
			if !slices.Contains(w.If, c) {
				w.If = append(w.If, c)
			}
		}
		w.Then = append(append(w.Then, store.Delete(v1alpha1.KeyBundleRevisions+name)), law.Unseal(v, name)...)
	}
	return w
}
