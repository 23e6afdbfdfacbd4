package reconcile

import (
	"fmt"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// post puts the state of the bundle on the board. A reason other than "" says what goes on besides.
func (b *bundle) post(reason string) {
	st := v1alpha1.WorkStatus{Grant: b.grant.At, Applied: b.runs, Objects: int32(len(b.objects)), Health: v1alpha1.HealthReady, Gates: b.gates}
	var problems []v1alpha1.Problem
	uid := b.grant.BundleUID
	if b.faulty != nil {
		uid, st.Grant = b.faulty.BundleUID, b.faulty.At
		problems = append(problems, problem{ReasonNotRendered, b.faulty.Fault}.of(v1alpha1.RolledOutOf(b.name).Ref()))
	}
	pending := 0
	for _, o := range b.objects {
		health, p := standing(o, b.s.tracker.get(o.key))
		switch {
		case p.reason != "":
			problems = append(problems, p.of(o.ref()))
		case health == v1alpha1.HealthReady:
			st.ReadyObjects++
		default:
			pending++
		}
		if o.applied != nil && o.applied.drifted {
			st.Drifted++
		}
	}
	lasting, going := b.lingering()
	problems, pending = append(problems, lasting...), pending+going
	failed := len(problems)
	st.Problems = problems[:min(len(problems), maxProblems)]
	r := ready{metav1.ConditionTrue, reasonReady, ""}
	switch {
	case failed > 0:
		st.Health = v1alpha1.HealthFailed
		r = ready{metav1.ConditionFalse, reasonFailed, v1alpha1.Counted(failed, "1 object has a problem", "%d objects have a problem")}
	case pending > 0 || reason != "":
		st.Health = v1alpha1.HealthInProgress
		r = ready{metav1.ConditionFalse, reasonInProgress, fmt.Sprintf("%d of %d objects are ready", st.ReadyObjects, st.Objects)}
	}
	if reason != "" {
		r = ready{metav1.ConditionFalse, reason, fmt.Sprintf("%d of %d objects are ready", st.ReadyObjects, st.Objects)}
	}
	if b.refused != 0 {
		r = b.oldGrant()
	}
	if b.damaged != "" && b.refused == 0 { // why a grant is refused says it, too
		r.message = clip(b.damaged+": nothing that left the bundle before is pruned. "+r.message, maxMessage)
	}
	b.s.board.post(b.name, uid, st, r)
}

// lingering are the objects that should be gone and give reason to worry, and how many are just going.
func (b *bundle) lingering() (problems []v1alpha1.Problem, going int) {
	for _, k := range sortedKeys(b.leaving.waiting) {
		l := b.leaving.waiting[k]
		if !l.asked || time.Since(l.since) > b.s.timing.Patience {
			problems = append(problems, l.of(k.ref(b.inv.entries[k].version)))
		} else {
			going++
		}
	}
	return problems, going
}

// standing is how one object is: its health, or its problem.
func standing(o *object, seen *sighting) (v1alpha1.Health, problem) {
	switch {
	case o.problem.reason != "":
		return v1alpha1.HealthFailed, o.problem
	case o.stuck && seen != nil && seen.deleting:
		return v1alpha1.HealthFailed, problem{ReasonPruneFailed, leavingMessage(seen.finalizers)}
	case o.applied != nil && o.applied.drifted && o.applied.uid == "":
		return v1alpha1.HealthFailed, problem{ReasonUnhealthy, "it was deleted, and the drift policy Report leaves it so"}
	case o.applied == nil || seen == nil:
		return v1alpha1.HealthInProgress, problem{}
	case seen.status == status.CurrentStatus:
		return v1alpha1.HealthReady, problem{}
	case o.late && o.isDefinition():
		return v1alpha1.HealthFailed, problem{ReasonNotEstablished, "it does not become usable: " + seen.message}
	case seen.status == status.FailedStatus:
		return v1alpha1.HealthFailed, problem{ReasonUnhealthy, describe(o.key, seen.message)}
	}
	return v1alpha1.HealthInProgress, problem{}
}

// describe is a message that an object says of itself, unless it is a Secret.
func describe(k key, message string) string {
	if k.GroupKind == kindSecret {
		return "it says that it failed"
	}
	return message
}

// postUnknown says that the cluster cannot be asked.
func (b *bundle) postUnknown(err error) {
	st := v1alpha1.WorkStatus{Grant: b.grant.At, Applied: b.runs, Objects: int32(len(b.objects)), Health: v1alpha1.HealthUnknown}
	b.s.board.post(b.name, b.grant.BundleUID, st, ready{metav1.ConditionUnknown, whyFailed(err), clip(err.Error(), maxMessage)})
}

func whyFailed(err error) string {
	if isAway(err) {
		return reasonUnreachable
	}
	return reasonFailed
}

func (b *bundle) postOldGrant() {
	st := v1alpha1.WorkStatus{Grant: b.grant.At, Applied: b.runs, Health: v1alpha1.HealthUnknown}
	b.s.board.post(b.name, b.grant.BundleUID, st, b.oldGrant())
}

func (b *bundle) oldGrant() ready {
	return ready{metav1.ConditionUnknown, reasonOldGrant, b.whyOld()}
}

func (b *bundle) postWithdrawing() {
	st := v1alpha1.WorkStatus{Grant: b.grant.At, Applied: b.runs, Health: v1alpha1.HealthInProgress, Objects: int32(len(b.inv.entries))}
	problems, _ := b.lingering()
	st.Problems = problems[:min(len(problems), maxProblems)]
	b.s.board.post(b.name, b.grant.BundleUID, st, ready{metav1.ConditionFalse, reasonWithdrawing, v1alpha1.Counted(len(b.inv.entries), "1 object is still there", "%d objects are still there")})
}
