package agent

import (
	"context"
	"errors"
	"reflect"
	"strings"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/decoded"
	"github.com/hanse-fleet/hanse/law"
	"github.com/hanse-fleet/hanse/plan"
)

// arrange writes who is unreachable, and when there is nothing new of that, what follows for all rollouts.
func (l *leader) arrange(ctx context.Context, s scene) error {
	situation, err := l.situation(s)
	if err != nil {
		return err
	}
	news, err := l.watch(ctx, s, situation)
	if news {
		return err // what is placed where rests on it
	}
	return errors.Join(err, l.roll(ctx, s, situation)) // who cannot be written down stops nothing else
}

// roll decides about all rollouts together, and writes it.
func (l *leader) roll(ctx context.Context, s scene, situation plan.Situation) error {
	w := l.newWriting(s)
	for _, step := range l.writable(w, situation) {
		if !l.due(s, step) {
			continue
		}
		if written, err := w.add(ctx, step); err != nil || !written {
			return err // what follows rests on it
		}
	}
	_, err := w.flush(ctx)
	return err
}

// writable are the steps that plan decides, and that can be written. A bundle of which something cannot is barred, and all is decided
// anew without it: the others go on, and its rollout says why it does not.
func (l *leader) writable(w *writing, s plan.Situation) []plan.Step {
	s.Barred = map[string]string{}
	for {
		steps, barred := l.steps(s), len(s.Barred)
		for _, step := range steps {
			if err := w.freeze(step); err != nil {
				l.log.Debug("nothing of a bundle can be granted", "bundle", step.Bundle, "err", err)
				s.Barred[step.Bundle] = err.Error()
			}
		}
		if len(s.Barred) == barred {
			return steps
		}
	}
}

// steps are what plan decides, or what stands in its place in a simulation.
func (l *leader) steps(s plan.Situation) []plan.Step {
	if l.decideBy != nil {
		return l.decideBy(s)
	}
	return plan.Decide(s)
}

// situation is the scene as rollouts are decided from.
func (l *leader) situation(s scene) (plan.Situation, error) {
	fleet, err := l.decoded.RolloutPolicy(s.view)
	if err != nil {
		return plan.Situation{}, err
	}
	revisions, _ := l.revisions.Readable(s.view) // one that cannot be read is as if it were not there: nobody goes back to it
	situation := plan.Situation{Scene: s.plan, Fleet: fleet, Silent: s.silent, Looking: s.looking, Observing: s.observing, Revisions: map[string]bool{}}
	for _, r := range revisions {
		situation.Revisions[strings.TrimPrefix(r.Key, v1alpha1.KeyBundleRevisions)] = true
	}
	l.contents.forget(situation.Revisions)
	situation.Contents = func(revision string) (plan.Content, bool) { return l.contents.of(s.view, revision) }
	situation.Zone, situation.Readings = l.zones.of, l.gates.all()
	situation.Wall = s.plan.Now
	situation.Now, situation.Began, situation.Logged = l.lasting(), l.clock, l.logged
	for _, b := range s.bundles {
		if b.Key == v1alpha1.RolledOutOf(b.Value.Name).Key() {
			situation.Bundles = append(situation.Bundles, b.Value)
		}
	}
	situation.Tombstones, situation.Rollouts = decoded.Values(s.tombs), decoded.Values(s.rollouts)
	return situation, nil
}

// due says whether a step is to be written now. What it only says to people is written at a limited rate.
func (l *leader) due(s scene, step plan.Step) bool {
	if len(step.Grants) > 0 {
		return true
	}
	for _, r := range step.Rollouts {
		before := s.rollout(r.Name)
		if before == nil || !reflect.DeepEqual(bare(r), bare(before.Value)) || s.plan.Now.Sub(l.statusWritten[before.Key]).Abs() >= statusPause {
			return true
		}
	}
	return false
}

// bare is a rollout without what is for people alone.
func bare(r *v1alpha1.Rollout) *v1alpha1.Rollout {
	b := r.DeepCopy()
	b.Status.Message, b.Status.Conditions, b.Status.Owed = "", nil, nil
	b.Status.Reason, b.Status.Since, b.Status.Blocked = "", nil, ""
	for i := range b.Status.Waves {
		b.Status.Waves[i].Waiting = nil
	}
	for i := range b.Status.Gates {
		b.Status.Gates[i].Message = ""
	}
	return b
}

func (s scene) rollout(name string) *decoded.Object[v1alpha1.Rollout] {
	for i, r := range s.rollouts {
		if r.Value.Name == name {
			return &s.rollouts[i]
		}
	}
	return nil
}

// strikeAdopted takes the clusters off the tombstone of a deleted bundle that have no grant of it any more, because a new bundle of
// the same name adopted its objects.
func (l *leader) strikeAdopted(ctx context.Context, s scene, t decoded.Object[v1alpha1.Tombstone]) error {
	left := *t.Value
	left.Clusters = nil
	for _, cluster := range t.Value.Clusters {
		if g, ok := s.plan.Grants[t.Value.Bundle][cluster]; s.looking[cluster] || ok && g.BundleUID == t.Value.BundleUID {
			left.Clusters = append(left.Clusters, cluster)
		}
	}
	op, err := law.Put(t.Key, left)
	switch {
	case err != nil || len(left.Clusters) == len(t.Value.Clusters):
		return err
	case len(left.Clusters) == 0:
		op = store.Delete(t.Key)
	}
	return l.write(ctx, []store.Condition{store.KeyAt(t.Key, t.Modified), store.PrefixUnchanged(v1alpha1.KeyGrants, s.view.Revision())}, op)
}
