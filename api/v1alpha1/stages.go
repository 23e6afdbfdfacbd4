package v1alpha1

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// StageOthers is the stage of clusters that no stage of a rollout names. It comes last.
const StageOthers = "others"

// RolloutStage is a part of the clusters, which changes when those of the stages before it are settled. In a stage one fault domain comes
// after the other. A cluster is in the first stage that is for it; who is in none comes last, in a stage of the name others.
type RolloutStage struct {
	// name of the stage, for people.
	Name string `json:"name"`
	// clusterSelector is for clusters by their labels. Without it, the stage is for every cluster in its fault domains.
	// +optional
	ClusterSelector *metav1.LabelSelector `json:"clusterSelector,omitempty"`
	// domains are the fault domains that the stage is for, values of the fleet's label. Without any, all.
	// +optional
	// +listType=set
	Domains []string `json:"domains,omitempty"`
	// soak is how long a wave of the stage is healthy before the next one. Without it, what the bundle says.
	// +optional
	Soak *metav1.Duration `json:"soak,omitempty"`
	// approval says whether the stage waits for a person: Never, or Required.
	// +optional
	Approval StageApproval `json:"approval,omitempty"`
	// windows are when waves of the stage may begin. Without any, when the bundle says.
	// +optional
	// +listType=atomic
	Windows []RolloutWindow `json:"windows,omitempty"`
	// gates are what must hold for a wave of the stage. Without any, those of the bundle.
	// +optional
	// +listType=atomic
	Gates []RolloutGate `json:"gates,omitempty"`
}

// StageApproval says whether a stage waits for a person.
// +enum
type StageApproval string

// The kinds of approval of a stage.
const (
	// It does not.
	StageApprovalNever StageApproval = "Never"
	// It does, when the stages before it are settled.
	StageApprovalRequired StageApproval = "Required"
)

// Has says whether a cluster in a fault domain is one that the stage is for.
func (s RolloutStage) Has(c *Cluster, domain string) bool {
	return (len(s.Domains) == 0 || slices.Contains(s.Domains, domain)) && (s.ClusterSelector == nil || c.Chosen(nil, s.ClusterSelector))
}

// RolloutWait is what keeps the waves of a stage that have their turn.
type RolloutWait struct {
	// for is what it waits for: Approval, or Window.
	For WaitFor `json:"for"`
	// stage that waits.
	// +optional
	Stage string `json:"stage,omitempty"`
	// domain is the fault domain that a person is to let it into, where that is what waits.
	// +optional
	Domain string `json:"domain,omitempty"`
	// since is when it began to.
	Since metav1.Time `json:"since"`
	// until is when it goes on by itself: when its window opens.
	// +optional
	Until *metav1.Time `json:"until,omitempty"`
}

// WaitFor is what a stage waits for.
// +enum
type WaitFor string

// What a stage may wait for.
const (
	// A person lets it begin.
	WaitForApproval WaitFor = "Approval"
	// Its window opens.
	WaitForWindow WaitFor = "Window"
)
