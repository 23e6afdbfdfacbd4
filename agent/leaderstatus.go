package agent

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/law"
	"github.com/hanse-fleet/hanse/plan"
)

// writeStatuses writes what the leader decides about bundles, rollouts and clusters. These are decisions, made at a
// limited rate, so that `kubectl wait` works; what members observe is in Work.
func (l *leader) writeStatuses(ctx context.Context, s scene) error {
	var errs []error
	for _, b := range s.bundles {
		next := s.bundleStatus(b.value)
		errs = append(errs, writeStatus(ctx, l, s.now, b, b.value.Status, next, func(o *v1alpha1.Bundle) { o.Status = next }))
	}
	for _, r := range s.rollouts {
		next := s.rolloutStatus(r.value)
		errs = append(errs, writeStatus(ctx, l, s.now, r, r.value.Status, next, func(o *v1alpha1.Rollout) { o.Status = next }))
	}
	voters := l.node.Status().Voters
	for _, c := range s.clusters {
		next := s.clusterStatus(c.value, voters)
		errs = append(errs, writeStatus(ctx, l, s.now, c, c.value.Status, next, func(o *v1alpha1.Cluster) { o.Status = next }))
	}
	return errors.Join(errs...)
}

// writeStatus writes an object's next status when it differs from the present one, unless it was written a moment
// ago: then a later pass does.
func writeStatus[T, S any](ctx context.Context, l *leader, now time.Time, o object[T], present, next S, set func(*T)) error {
	if reflect.DeepEqual(present, next) || now.Sub(l.statusWritten[o.key]) < statusPause {
		return nil
	}
	changed := *o.value
	set(&changed)
	op, err := law.Put(o.key, &changed)
	if err != nil {
		return err
	}
	l.statusWritten[o.key] = now
	return l.write(ctx, []store.Condition{store.KeyAt(o.key, o.modified)}, op)
}

// setReady sets the one condition that our kinds have. Its transition time changes with its status only.
func setReady(conditions *[]metav1.Condition, status metav1.ConditionStatus, reason, message string, generation int64, now time.Time) {
	meta.SetStatusCondition(conditions, metav1.Condition{
		Type: v1alpha1.ConditionReady, Status: status, Reason: reason, Message: message,
		ObservedGeneration: generation, LastTransitionTime: metav1.NewTime(now.Truncate(time.Second)),
	})
}

// runs says whether a cluster runs a revision, healthy, as its own member reported last.
func (s scene) runs(cluster, bundle, revision string) bool {
	sight := s.seen[cluster]
	r, ok := sight.bundles[bundle]
	return ok && sight.fresh(s.now) && r.Status.Applied == revision && r.Status.Health == v1alpha1.HealthReady
}

func (s scene) bundleStatus(b *v1alpha1.Bundle) v1alpha1.BundleStatus {
	next := *b.Status.DeepCopy()
	next.ObservedGeneration = b.Generation
	next.Revision = v1alpha1.RevisionName(b.Name, string(b.UID), b.Generation)
	next.Clusters, next.ReadyClusters = 0, 0
	var waiting []string
	granted := s.named[b.Name]
	picked, err := plan.Place(b.Spec.Placement, s.fleet)
	for _, c := range picked {
		next.Clusters++
		if g, ok := granted[c]; ok && g.value.Revision == next.Revision && s.runs(c, b.Name, next.Revision) {
			next.ReadyClusters++
		} else {
			waiting = append(waiting, c)
		}
	}
	switch {
	case err != nil:
		setReady(&next.Conditions, metav1.ConditionFalse, "NoPlacement", err.Error(), b.Generation, s.now)
	case next.Clusters == 0:
		setReady(&next.Conditions, metav1.ConditionFalse, "NoClusters", "the placement picks no cluster", b.Generation, s.now)
	case len(waiting) > 0:
		setReady(&next.Conditions, metav1.ConditionFalse, "Progressing", "waiting for "+fewNames(waiting), b.Generation, s.now)
	default:
		setReady(&next.Conditions, metav1.ConditionTrue, "Ready", fmt.Sprintf("ready in %d of %d clusters", next.ReadyClusters, next.Clusters), b.Generation, s.now)
	}
	return next
}

// fewNames lists names, sorted, and counts those beyond the first three.
func fewNames(names []string) string {
	slices.Sort(names)
	text := ""
	for i, n := range names {
		switch {
		case i == 3:
			return fmt.Sprintf("%s and %d more", text, len(names)-3)
		case i > 0:
			text += ", "
		}
		text += n
	}
	return text
}

func (s scene) rolloutStatus(r *v1alpha1.Rollout) v1alpha1.RolloutStatus {
	next := *r.Status.DeepCopy()
	if next.Phase != v1alpha1.RolloutRunning {
		return next
	}
	var waiting []string
	for _, w := range r.Spec.Waves {
		for _, c := range w.Clusters {
			if s.grantedRevision(c, r.Spec.Bundle) == r.Spec.Revision && !s.runs(c, r.Spec.Bundle, r.Spec.Revision) {
				waiting = append(waiting, c)
			}
		}
		for _, c := range w.Withdraw {
			if s.withdraws(c, r.Spec.Bundle) {
				waiting = append(waiting, c)
			}
		}
	}
	if len(waiting) > 0 {
		setReady(&next.Conditions, metav1.ConditionFalse, "Progressing", "waiting for "+fewNames(waiting), r.Generation, s.now)
		return next
	}
	next.Phase = v1alpha1.RolloutComplete
	setReady(&next.Conditions, metav1.ConditionTrue, "Complete", "every cluster runs the revision", r.Generation, s.now)
	return next
}

func (s scene) grantedRevision(cluster, bundle string) string {
	if g, ok := s.named[bundle][cluster]; ok {
		return g.value.Revision
	}
	return ""
}

// withdraws says that a cluster was told to withdraw a bundle and has not struck its grant yet.
func (s scene) withdraws(cluster, bundle string) bool {
	g, ok := s.named[bundle][cluster]
	return ok && g.value.Withdraw
}

func (s scene) clusterStatus(c *v1alpha1.Cluster, voters []store.MemberID) v1alpha1.ClusterStatus {
	next := *c.Status.DeepCopy()
	next.Voter = v1alpha1.RoleNonvoter
	if slices.Contains(voters, store.MemberID(c.Status.Incarnation)) {
		next.Voter = v1alpha1.RoleVoter
	}
	switch seen, ok := s.seen[c.Name]; {
	case ok && seen.fresh(s.now):
		setReady(&next.Conditions, metav1.ConditionTrue, "Reached", "the leader hears from the member", c.Generation, s.now)
	case ok:
		setReady(&next.Conditions, metav1.ConditionFalse, "Silent", "the leader does not hear from the member", c.Generation, s.now)
	default:
		setReady(&next.Conditions, metav1.ConditionUnknown, "NotSeen", "the leader has not heard from the member yet", c.Generation, s.now)
	}
	return next
}
