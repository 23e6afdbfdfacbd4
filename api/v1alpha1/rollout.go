package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// FleetRollout is how changes of bundles go through the fleet.
type FleetRollout struct {
	// domain is the label of clusters whose values are the fault domains: topology.kubernetes.io/region. Clusters without it
	// are one fault domain.
	// +optional
	Domain string `json:"domain,omitempty"`
	// maxDomains is in how many fault domains changes may be at a time, those of all bundles together: 1.
	// +optional
	MaxDomains int32 `json:"maxDomains,omitempty"`
	// soak is how long a wave is healthy before the next one, for bundles that do not say: 30s.
	// +optional
	Soak *metav1.Duration `json:"soak,omitempty"`
	// progressDeadline is how long after its grant a wave may take to be healthy, for bundles that do not say: 10m. What is not healthy by
	// then counts as failed.
	// +optional
	ProgressDeadline *metav1.Duration `json:"progressDeadline,omitempty"`
	// onFailure is what happens when a change fails, of bundles that do not say: Pause, until a person decides, or Rollback.
	// +optional
	OnFailure OnFailure `json:"onFailure,omitempty"`
	// deletions is how much a change may delete before a person has approved it.
	// +optional
	Deletions *DeletionCap `json:"deletions,omitempty"`
	// whileLost is what becomes of changes that begin while a fault domain is lost: Survivors.
	// +optional
	WhileLost WhileLost `json:"whileLost,omitempty"`
	// eviction is how bundles move away from clusters that are unreachable for longer than they tolerate.
	// +optional
	Eviction *Eviction `json:"eviction,omitempty"`
	// freeze stops all rollouts: nothing is granted as long as it is there. What was granted goes on.
	// +optional
	Freeze *Freeze `json:"freeze,omitempty"`
}

// WhileLost says what becomes of changes that begin while a fault domain is lost. What began before the loss waits in any case.
// +enum
type WhileLost string

// The kinds of WhileLost.
const (
	// They go to the clusters that live; the lost ones are owed.
	WhileLostSurvivors WhileLost = "Survivors"
	// They wait until the fault domain is back, or a person lets them go on.
	WhileLostFreeze WhileLost = "Freeze"
)

// Freeze says why nothing is to change.
type Freeze struct {
	// reason, for people.
	// +optional
	Reason string `json:"reason,omitempty"`
}

// BundleRollout is how the changes of one bundle go through the clusters. A rollout keeps what was said when it began.
type BundleRollout struct {
	// domain is a label of clusters: in a fault domain of the fleet, those that differ in it change one after the other.
	// +optional
	Domain string `json:"domain,omitempty"`
	// soak is how long a wave is healthy before the next one. Without it, what the fleet says.
	// +optional
	Soak *metav1.Duration `json:"soak,omitempty"`
	// progressDeadline is how long after its grant a wave may take to be healthy; a cluster that is not healthy by then counts as failed.
	// Without it, what the fleet says.
	// +optional
	ProgressDeadline *metav1.Duration `json:"progressDeadline,omitempty"`
	// maxFailures is in how many clusters the change may fail before the rollout stops.
	// +optional
	MaxFailures int32 `json:"maxFailures,omitempty"`
	// onFailure is what happens when the change fails: Pause leaves all as it is until a person decides, Rollback gives the clusters that have
	// the change the last good revision again. Without it, what the fleet says.
	// +optional
	OnFailure OnFailure `json:"onFailure,omitempty"`
	// canary is how many clusters of each fault domain go before its others: a number, or a share as "10%".
	// +optional
	Canary *intstr.IntOrString `json:"canary,omitempty"`
	// approval says which waves wait for a person: Never, or Domain for the first wave of each fault domain.
	// +optional
	Approval Approval `json:"approval,omitempty"`
	// stages are parts of the clusters that change one after the other. Without any, the fault domains do, in the order of their names.
	// +optional
	// +listType=atomic
	Stages []RolloutStage `json:"stages,omitempty"`
	// windows are when waves may begin. Without any, at any time.
	// +optional
	// +listType=atomic
	Windows []RolloutWindow `json:"windows,omitempty"`
	// gates are what must hold for a wave, beside the health of its clusters.
	// +optional
	// +listType=atomic
	Gates []RolloutGate `json:"gates,omitempty"`
	// deletions is how much a change may delete before a person has approved it; what is more than the fleet says counts for
	// nothing.
	// +optional
	Deletions *DeletionCap `json:"deletions,omitempty"`
}

// DeletionCap is how much a change of a bundle may delete without being asked. What is more waits for a person; a Namespace, a
// CustomResourceDefinition and a PersistentVolumeClaim always do. A cluster that is drained, or that has a taint with effect
// NoExecute, is asked about for the fleet only.
type DeletionCap struct {
	// perCluster is how much may go in one cluster: 50 objects, and 20 percent.
	// +optional
	PerCluster *DeletionBound `json:"perCluster,omitempty"`
	// fleet is how much may go in all clusters together: 1000 objects, and 50 percent.
	// +optional
	Fleet *DeletionBound `json:"fleet,omitempty"`
}

// DeletionBound is a number of objects and a share; neither may be exceeded.
type DeletionBound struct {
	// objects is how many may go.
	// +optional
	Objects *int32 `json:"objects,omitempty"`
	// percent is how many of a hundred may go of those that the bundle has there.
	// +optional
	Percent *int32 `json:"percent,omitempty"`
}

// OnFailure says what happens when a change fails.
// +enum
type OnFailure string

// What may happen when a change fails.
const (
	// The rollout stops, and a person decides.
	OnFailurePause OnFailure = "Pause"
	// The clusters that have the change get the last good revision again.
	OnFailureRollback OnFailure = "Rollback"
)

// Approval says which waves wait for a person.
// +enum
type Approval string

// The kinds of approval.
const (
	// None does.
	ApprovalNever Approval = "Never"
	// The first wave in each fault domain does.
	ApprovalDomain Approval = "Domain"
)

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// Rollout is one change of one bundle on its way through the clusters. The leader writes it, all but its orders.
type Rollout struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   RolloutSpec   `json:"spec,omitempty"`
	Status RolloutStatus `json:"status,omitempty"`
}

// Stopped says that it failed, and that no person has said since how to go on.
func (r *Rollout) Stopped() bool { return r.Status.Stops > r.Spec.Orders.Resumed }

// RolloutSpec is the decision, frozen when it was taken. Clusters that come later get waves of their own behind the others.
type RolloutSpec struct {
	// bundle is the name of the bundle.
	Bundle string `json:"bundle"`
	// bundleUID tells this bundle from earlier ones of the same name.
	BundleUID string `json:"bundleUID"`
	// revision names the BundleRevision that is rolled out; empty when the bundle is withdrawn.
	// +optional
	Revision string `json:"revision,omitempty"`
	// generation of the bundle that the revision keeps; 0 when the bundle is withdrawn.
	// +optional
	Generation int64 `json:"generation,omitempty"`
	// number counts the rollouts of the revision, from 1: what is owed when one ends is given by another.
	Number int32 `json:"number"`
	// domain is the label whose values are the fault domains.
	Domain string `json:"domain"`
	// soak is how long a wave is healthy before the next one.
	Soak metav1.Duration `json:"soak"`
	// progressDeadline is for how long a wave that is granted may be unhealthy.
	// +optional
	ProgressDeadline metav1.Duration `json:"progressDeadline,omitempty"`
	// maxFailures is in how many clusters the change may fail.
	// +optional
	MaxFailures int32 `json:"maxFailures,omitempty"`
	// onFailure is what happens when the change fails: Pause, or Rollback.
	// +optional
	OnFailure OnFailure `json:"onFailure,omitempty"`
	// undoes is the rollout that failed, and whose change this one takes back.
	// +optional
	Undoes string `json:"undoes,omitempty"`
	// moves says that it only moves the bundle away from clusters that are gone for too long: no wave waits for a person or a window.
	// +optional
	Moves bool `json:"moves,omitempty"`
	// approval says which waves wait for a person.
	// +optional
	Approval Approval `json:"approval,omitempty"`
	// stages are parts of the clusters that change one after the other.
	// +optional
	// +listType=atomic
	Stages []RolloutStage `json:"stages,omitempty"`
	// windows are when waves may begin, of stages that do not say.
	// +optional
	// +listType=atomic
	Windows []RolloutWindow `json:"windows,omitempty"`
	// gates are what must hold for a wave, of stages that do not say.
	// +optional
	// +listType=atomic
	Gates []RolloutGate `json:"gates,omitempty"`
	// deletions is how much it may delete without being asked, where the bundle says less than the fleet.
	// +optional
	Deletions *DeletionCap `json:"deletions,omitempty"`
	// without are fault domains that were lost when it began: their loss does not stop it.
	// +optional
	// +listType=set
	Without []string `json:"without,omitempty"`
	// carried are waves of rollouts before this one that were granted and not settled when it took their place: their clusters belong to
	// the fault domains that they were in then.
	// +optional
	// +listType=atomic
	Carried []Wave `json:"carried,omitempty"`
	// waves are granted one after the other.
	// +optional
	// +listType=atomic
	Waves []Wave `json:"waves,omitempty"`
	// orders are what people say of the rollout.
	// +optional
	Orders RolloutOrders `json:"orders,omitempty"`
}

// Wave is the clusters of one fault domain that are granted a change at the same time.
type Wave struct {
	// domain is the fault domain.
	Domain string `json:"domain"`
	// stage that the clusters are in, of a rollout that has stages.
	// +optional
	Stage string `json:"stage,omitempty"`
	// clusters that get the revision.
	// +optional
	// +listType=set
	Clusters []string `json:"clusters,omitempty"`
	// withdraw are clusters that lose the bundle.
	// +optional
	// +listType=set
	Withdraw []string `json:"withdraw,omitempty"`
	// revision that the clusters get instead of the rollout's: the last good one, for clusters that join while it runs.
	// +optional
	Revision string `json:"revision,omitempty"`
	// late says that the clusters came to a stage that had been settled: where they wait for its window, the later stages go on.
	// +optional
	Late bool `json:"late,omitempty"`
}

// RolloutOrders are what people say of a rollout. Operators write them, and nothing else of it.
type RolloutOrders struct {
	// paused holds further waves back.
	// +optional
	Paused bool `json:"paused,omitempty"`
	// aborted ends it: what was granted and is not healthy is left as it is, and nothing more is granted.
	// +optional
	Aborted bool `json:"aborted,omitempty"`
	// allAtOnce grants all waves now, whatever the fault domains.
	// +optional
	AllAtOnce bool `json:"allAtOnce,omitempty"`
	// resumed is up to which of its stops it may go on, as status.stops counts them.
	// +optional
	Resumed int32 `json:"resumed,omitempty"`
	// despite are clusters whose failure stops it no more, and that no wave waits for.
	// +optional
	// +listType=set
	Despite []string `json:"despite,omitempty"`
	// despiteGates are gates that no wave has to pass any more, whatever they say. The other gates, and health, count as before.
	// +optional
	// +listType=set
	DespiteGates []string `json:"despiteGates,omitempty"`
	// without are fault domains whose loss stops it no more.
	// +optional
	// +listType=set
	Without []string `json:"without,omitempty"`
	// approved are fault domains that a person has let it into.
	// +optional
	// +listType=set
	Approved []string `json:"approved,omitempty"`
	// stages are those that a person has let begin.
	// +optional
	// +listType=set
	Stages []string `json:"stages,omitempty"`
	// deletions are how many objects a person lets it delete in each cluster, as status.deletions tells them at most.
	// +optional
	Deletions map[string]int32 `json:"deletions,omitempty"`
}

// RolloutPhase is where a rollout is.
// +enum
type RolloutPhase string

// The phases of a rollout.
const (
	// No wave is granted yet.
	RolloutPending RolloutPhase = "Pending"
	// Waves are granted, one after the other.
	RolloutRunning RolloutPhase = "Running"
	// No further wave is granted, until a person says so, or a fault domain is back.
	RolloutPaused RolloutPhase = "Paused"
	// The change failed, and a person must say how to go on.
	RolloutFailed RolloutPhase = "Failed"
	// A person ended it.
	RolloutAborted RolloutPhase = "Aborted"
	// Every wave is settled.
	RolloutComplete RolloutPhase = "Complete"
	// The change failed, and the clusters that had it get the last good revision again.
	RolloutRolledBack RolloutPhase = "RolledBack"
	// A newer rollout of the bundle took its place.
	RolloutSuperseded RolloutPhase = "Superseded"
)

// Ended says that a rollout in the phase does nothing any more.
func (p RolloutPhase) Ended() bool {
	return p == RolloutAborted || p == RolloutComplete || p == RolloutSuperseded || p == RolloutRolledBack
}

// RolloutReason is what a rollout waits for.
type RolloutReason string

// What a rollout may wait for.
const (
	// The clusters of the waves that are granted.
	RolloutWaitsForWaves RolloutReason = "Waves"
	// Other rollouts, that change other fault domains.
	RolloutWaitsForTurn RolloutReason = "Turn"
	// Another bundle, that is not ready where this one goes next.
	RolloutWaitsForBundle RolloutReason = "DependsOn"
	// A cluster of which nothing is heard for a moment.
	RolloutWaitsForWord RolloutReason = "Unheard"
	// A person who lets it into a stage or a fault domain.
	RolloutWaitsForApproval RolloutReason = "Approval"
	// A window.
	RolloutWaitsForWindow RolloutReason = "Window"
	// A person who suspended what is rolled out.
	RolloutSuspended RolloutReason = "Suspended"
	// A person who paused it.
	RolloutWaitsForResume RolloutReason = "Paused"
	// A person's word on what it would delete.
	RolloutWaitsForDeletions RolloutReason = "Deletions"
	// A fault domain that was lost.
	RolloutDomainLost RolloutReason = "DomainLost"
	// A cluster that was lost after it was granted the change.
	RolloutClusterLost RolloutReason = "ClusterLost"
	// A person who froze the fleet.
	RolloutFrozen RolloutReason = "Frozen"
	// What it brings, that cannot be granted.
	RolloutBarred RolloutReason = "Barred"
	// A person who says how to go on after a failure.
	RolloutStopped RolloutReason = "Stopped"
)

// RolloutStatus is how far the rollout is.
type RolloutStatus struct {
	// phase is Pending, Running, Paused, Failed, Aborted, RolledBack, Complete, or Superseded by a newer one.
	// +optional
	Phase RolloutPhase `json:"phase,omitempty"`
	// wave is the number of the wave that was granted last, from 1.
	// +optional
	Wave int32 `json:"wave,omitempty"`
	// inChange are the fault domains that the rollout has begun to change and that are not settled.
	// +optional
	// +listType=set
	InChange []string `json:"inChange,omitempty"`
	// stops counts how often it stopped and needed a person.
	// +optional
	Stops int32 `json:"stops,omitempty"`
	// stopped says why it stopped last, in a fault domain or another.
	// +optional
	Stopped string `json:"stopped,omitempty"`
	// back is the revision that the clusters get again, as the change has failed.
	// +optional
	Back string `json:"back,omitempty"`
	// lost are fault domains that were lost since it began: it waits until they are back, or a person says to go on without them.
	// +optional
	// +listType=set
	Lost []string `json:"lost,omitempty"`
	// deleted is how many objects were let go in the waves that are granted.
	// +optional
	Deleted int32 `json:"deleted,omitempty"`
	// deletions is what the waves to come would delete, while that waits for a person.
	// +optional
	Deletions *RolloutDeletions `json:"deletions,omitempty"`
	// wait is what a stage that has its turn waits for.
	// +optional
	Wait *RolloutWait `json:"wait,omitempty"`
	// gates are what they said last.
	// +optional
	// +listType=map
	// +listMapKey=name
	Gates []GateStatus `json:"gates,omitempty"`
	// message says what it waits for, for people.
	// +optional
	Message string `json:"message,omitempty"`
	// reason is what it waits for in a word: Waves, Turn, DependsOn, Unheard, Approval, Window, Suspended, Paused, Deletions, DomainLost,
	// ClusterLost, Frozen, Barred or Stopped. Empty of one that has ended.
	// +optional
	Reason RolloutReason `json:"reason,omitempty"`
	// since is when it began to wait for that.
	// +optional
	Since *metav1.Time `json:"since,omitempty"`
	// blocked is the cluster that was lost after it was granted the change, so that nothing more is granted meanwhile.
	// +optional
	Blocked string `json:"blocked,omitempty"`
	// until is when the fault domains that it took over unsettled are to be settled, whatever newer change takes its place meanwhile. After a
	// stop it begins anew.
	// +optional
	Until map[string]metav1.Time `json:"until,omitempty"`
	// waves are how far each wave of the spec is.
	// +optional
	// +listType=atomic
	Waves []WaveStatus `json:"waves,omitempty"`
	// owed are clusters that should have the change and are away, or only look: they get it on their return.
	// +optional
	// +listType=set
	Owed []string `json:"owed,omitempty"`
	// ended is when it ended.
	// +optional
	Ended *metav1.Time `json:"ended,omitempty"`
	// conditions: Ready is true when every wave is settled.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// RolloutDeletions is what a change would delete, and nobody has approved.
type RolloutDeletions struct {
	// reason says what makes it more than may go unasked.
	Reason string `json:"reason"`
	// objects is how many would go.
	Objects int32 `json:"objects"`
	// of is how many the bundle has in the fleet.
	Of int32 `json:"of"`
	// clusters are those in which objects would go.
	// +optional
	// +listType=map
	// +listMapKey=name
	Clusters []ClusterDeletions `json:"clusters,omitempty"`
	// first are some of the objects, one of each name, those first that take others, or data, with them.
	// +optional
	// +listType=atomic
	First []ObjectRef `json:"first,omitempty"`
}

// ClusterDeletions is what a change would delete in one cluster.
type ClusterDeletions struct {
	// name of the cluster.
	Name string `json:"name"`
	// objects is how many would go.
	Objects int32 `json:"objects"`
	// withdrawn says that the whole bundle would.
	// +optional
	Withdrawn bool `json:"withdrawn,omitempty"`
}

// WaveStatus is how far a wave is.
type WaveStatus struct {
	// granted is when its clusters were allowed the change.
	// +optional
	Granted *metav1.Time `json:"granted,omitempty"`
	// due is when a cluster of it that is not healthy counts as failed. After a stop it begins anew.
	// +optional
	Due *metav1.Time `json:"due,omitempty"`
	// late are clusters of it that got healthy after it was due: when one is not any more, it has failed.
	// +optional
	// +listType=set
	Late []string `json:"late,omitempty"`
	// ran is since when all of them run it, of a wave that has gates to pass. They are asked from then on.
	// +optional
	Ran *metav1.Time `json:"ran,omitempty"`
	// healthy is since when all of them run it, healthy, and its gates pass.
	// +optional
	Healthy *metav1.Time `json:"healthy,omitempty"`
	// failing is since when the change fails in clusters of it.
	// +optional
	Failing *metav1.Time `json:"failing,omitempty"`
	// settled is when they had been healthy for as long as the rollout soaks.
	// +optional
	Settled *metav1.Time `json:"settled,omitempty"`
	// released is when it was given up unsettled: its fault domain was lost.
	// +optional
	Released *metav1.Time `json:"released,omitempty"`
	// failed are clusters that it was settled without, as the change may fail in so many: they count in the waves to come until they are healthy.
	// +optional
	// +listType=set
	Failed []string `json:"failed,omitempty"`
	// waiting are the clusters that it waits for.
	// +optional
	// +listType=set
	Waiting []string `json:"waiting,omitempty"`
}

// Open says that the wave is granted, and neither settled nor given up.
func (w WaveStatus) Open() bool { return w.Granted != nil && !w.Over() }

// HasSettled says that a wave of the rollout's own revision has. Who joins gets the last good one first: that is nothing of what it rolls out.
func (r *Rollout) HasSettled() bool {
	for i, s := range r.Status.Waves {
		if s.Settled != nil && (i >= len(r.Spec.Waves) || r.Spec.Waves[i].Revision == "") {
			return true
		}
	}
	return false
}

// Over says that the wave is settled or given up.
func (w WaveStatus) Over() bool { return w.Settled != nil || w.Released != nil }

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// RolloutList is a list of Rollout.
type RolloutList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Rollout `json:"items"`
}
