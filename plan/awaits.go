package plan

import (
	"cmp"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// Wait is why a cluster has not been granted yet what is wanted of it: a reason of its Work, and for people.
type Wait struct{ Reason, Message string }

// Errands are the newest rollouts of what bundles, and deleted ones, were to change; where a person aborted one, that one, whatever who joins is given
// since.
type Errands map[errand]*v1alpha1.Rollout

type errand struct {
	uid        string
	generation int64
}

// ErrandsOf are those of some rollouts.
func ErrandsOf(rollouts []*v1alpha1.Rollout) Errands {
	newest := make(Errands, len(rollouts))
	for _, r := range rollouts {
		of := errand{r.Spec.BundleUID, r.Spec.Generation}
		if was := newest[of]; was == nil || cmp.Or(compareBool(aborted(r), aborted(was)), cmp.Compare(r.Spec.Number, was.Spec.Number)) > 0 {
			newest[of] = r
		}
	}
	return newest
}

// Of is the one that brings a generation of a bundle to clusters; 0 is the withdrawal of one that is deleted.
func (all Errands) Of(bundleUID string, generation int64) Errand {
	return Errand{Rollout: all[errand{bundleUID, generation}]}
}

// Errand is what brings a change to clusters. It is for one goroutine.
type Errand struct {
	// Rollout is nil as long as none has begun.
	Rollout *v1alpha1.Rollout
	// waves to come, by cluster, once somebody asked.
	waves map[string]int
}

// Remember adds the clusters that the rollout is about to grant the change, as long as it runs: they are placed as if they had it.
func (e Errand) Remember(has map[string]bool) {
	if e.Rollout == nil || e.Rollout.Status.Phase.Ended() {
		return
	}
	remember(e.Rollout, has)
}

// Awaits says what a cluster waits for that has not been granted the change. held says that something was granted, and taken back.
func (e *Errand) Awaits(cluster *v1alpha1.Cluster, held bool) Wait {
	away := silence(cluster)
	turn := e.turn(cluster)
	switch {
	case held:
		return Wait{v1alpha1.ReasonHeld, "what it was granted was taken back, and what is there is left as it is until " + e.heldUntil(away, turn)}
	case away != "":
		return Wait{v1alpha1.ReasonOwed, away + ": its turn is when it is back"}
	case turn != "":
		return Wait{v1alpha1.ReasonWaiting, turn}
	case e.over():
		return Wait{v1alpha1.ReasonWaiting, e.end()}
	}
	return Wait{v1alpha1.ReasonWaiting, "its rollout has yet to begin"}
}

// heldUntil says when something is granted again where it was taken back.
func (e *Errand) heldUntil(away, turn string) string {
	switch {
	case e.over() || e.Rollout != nil && e.Rollout.Status.Phase == v1alpha1.RolloutFailed:
		return fmt.Sprintf("a newer change, or hanse rollout resume %s", e.Rollout.Name)
	case away != "":
		return "it is back; it is " + away
	case turn != "":
		return "its turn: " + turn
	case e.Rollout != nil && !e.Rollout.Status.Phase.Ended():
		return "its rollout goes on"
	}
	return "a rollout begins"
}

// over says that a person or a failure ended the change, and nothing is granted before a person says how to go on.
func (e *Errand) over() bool {
	r := e.Rollout
	return aborted(r) || r != nil && wentBack(r)
}

func (e *Errand) end() string {
	r := e.Rollout
	if r.Status.Phase == v1alpha1.RolloutAborted {
		return fmt.Sprintf("a person aborted the rollout %s; to take that back: hanse rollout resume %s", r.Name, r.Name)
	}
	return fmt.Sprintf("the rollout %s failed, and was taken back: %s", r.Name, r.Status.Stopped)
}

// turn says in which wave to come a cluster is, and how the rollout stands; "" when it is in none.
func (e *Errand) turn(cluster *v1alpha1.Cluster) string {
	r := e.Rollout
	if cluster == nil || r == nil || r.Status.Phase.Ended() {
		return ""
	}
	if e.waves == nil {
		e.waves = wavesToCome(r)
	}
	i, there := e.waves[cluster.Name]
	if !there {
		return ""
	}
	said := fmt.Sprintf("its turn comes with wave %d of %d, %s", i+1, len(r.Spec.Waves), named(r.Spec.Waves[i].Domain))
	switch s := r.Status; {
	case s.Phase == v1alpha1.RolloutFailed:
		said += "; the rollout has stopped: " + s.Message
	case s.Phase == v1alpha1.RolloutPaused:
		said += "; the rollout is paused: " + s.Message
	case s.Message != "":
		said += "; " + s.Message
	}
	return said
}

// wavesToCome are the numbers of the waves that are not granted, from 0, by cluster.
func wavesToCome(r *v1alpha1.Rollout) map[string]int {
	waves := map[string]int{}
	for i, w := range r.Spec.Waves {
		if i < len(r.Status.Waves) && (r.Status.Waves[i].Granted != nil || r.Status.Waves[i].Over()) {
			continue
		}
		for _, clusters := range [][]string{w.Clusters, w.Withdraw} {
			for _, name := range clusters {
				if _, there := waves[name]; !there {
					waves[name] = i
				}
			}
		}
	}
	return waves
}

// silence says since when the leader has not heard of a cluster; "" when it hears of it.
func silence(cluster *v1alpha1.Cluster) string {
	if cluster == nil {
		return "" // it is not of the fleet any more
	}
	c := meta.FindStatusCondition(cluster.Status.Conditions, v1alpha1.ConditionReady)
	switch {
	case c == nil || c.Status == metav1.ConditionTrue:
		return ""
	case c.Status == metav1.ConditionUnknown:
		return "not heard of yet"
	}
	return "away since " + c.LastTransitionTime.UTC().Format("2006-01-02 15:04:05Z")
}
