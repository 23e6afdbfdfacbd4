package v1alpha1

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// LabelCost is a number that admins give a cluster: of two that would do, a placement takes the cheaper one.
const LabelCost = "fleet.hanse.dev/cost"

// Placement picks clusters. A cluster may be picked when it is named, or when selector and expression are of it. Its taints must
// be tolerated. What a cluster was given it keeps while it may be picked; a change elsewhere moves nothing.
type Placement struct {
	// clusters are names of clusters. Naming one that is not in the fleet is no error: it gets the bundle when it joins.
	// Where numberOfClusters is fewer than may be picked, named clusters come first.
	// +optional
	// +listType=set
	Clusters []string `json:"clusters,omitempty"`
	// clusterSelector picks clusters by their labels. An empty selector ({}) picks every cluster.
	// +optional
	ClusterSelector *metav1.LabelSelector `json:"clusterSelector,omitempty"`
	// expression (CEL) picks, of the clusters that the selector picks, those that it is true of: cluster.labels["tier"] == "prod",
	// cluster.facts.cpuFree > 8.0. Without a selector it picks of every cluster. One that looks at cluster.facts lets clusters in,
	// and drives none out.
	// +optional
	Expression string `json:"expression,omitempty"`
	// numberOfClusters is how many of them are picked: those that have it already, then the named, then the cheaper by the label
	// fleet.hanse.dev/cost, then those with more room. Without it, all are.
	// +optional
	NumberOfClusters *int32 `json:"numberOfClusters,omitempty"`
	// tolerations let the bundle into clusters with taints.
	// +optional
	// +listType=atomic
	Tolerations []Toleration `json:"tolerations,omitempty"`
	// spreadConstraints say how evenly the picked clusters lie over regions, zones, or the values of any label.
	// +optional
	// +listType=map
	// +listMapKey=topologyKey
	SpreadConstraints []SpreadConstraint `json:"spreadConstraints,omitempty"`
}

// TaintEffect says what a taint keeps away.
// +enum
type TaintEffect string

// The effects, as Kubernetes has them for nodes.
const (
	// Bundles that do not tolerate it do not come; those that are there stay.
	TaintNoSchedule TaintEffect = "NoSchedule"
	// Bundles that do not tolerate it do not come, and those that are there leave.
	TaintNoExecute TaintEffect = "NoExecute"
)

// Taint keeps bundles out of a cluster that do not tolerate it.
type Taint struct {
	// key of the taint, such as example.com/gpu.
	Key string `json:"key"`
	// value of the taint.
	// +optional
	Value string `json:"value,omitempty"`
	// effect is NoSchedule, for what is to come, or NoExecute, for what is there, too.
	Effect TaintEffect `json:"effect"`
}

// TolerationOperator is how a toleration compares values.
// +enum
type TolerationOperator string

// The operators, as Kubernetes has them.
const (
	// The taint has this value.
	TolerationEqual TolerationOperator = "Equal"
	// The taint has any value.
	TolerationExists TolerationOperator = "Exists"
)

// Toleration lets a bundle into clusters with a taint.
type Toleration struct {
	// key of the taints that are tolerated. Without it, and with operator Exists, every taint is.
	// +optional
	Key string `json:"key,omitempty"`
	// operator is Equal, for taints of the same value, or Exists, for any value: Equal.
	// +optional
	Operator TolerationOperator `json:"operator,omitempty"`
	// value of the taints that are tolerated.
	// +optional
	Value string `json:"value,omitempty"`
	// effect that is tolerated. Without it, both are.
	// +optional
	Effect TaintEffect `json:"effect,omitempty"`
	// tolerationSeconds is for how long the taint fleet.hanse.dev/unreachable with effect NoExecute is tolerated, which the fleet puts on
	// clusters of which nothing is heard. Without it, ever. A bundle that does not tolerate it at all does for 300 seconds.
	// +optional
	TolerationSeconds *int64 `json:"tolerationSeconds,omitempty"`
}

// Tolerates says whether the toleration is of the taint.
func (t Toleration) Tolerates(taint Taint) bool {
	return (t.Key == "" || t.Key == taint.Key) && (t.Effect == "" || t.Effect == taint.Effect) &&
		(t.Operator == TolerationExists || t.Value == taint.Value)
}

// Unsatisfiable says what happens when a spread cannot be kept.
// +enum
type Unsatisfiable string

// What can happen to a cluster that would make the spread uneven.
const (
	// It is not picked.
	DoNotPlace Unsatisfiable = "DoNotPlace"
	// It is picked, after those that would not.
	ScheduleAnyway Unsatisfiable = "ScheduleAnyway"
)

// SpreadConstraint says how evenly picked clusters lie over the values of a label. Clusters that have the bundle already stay,
// however they lie.
type SpreadConstraint struct {
	// topologyKey is the label: topology.kubernetes.io/region, topology.kubernetes.io/zone, or any other. A cluster without it is
	// not picked, unless whenUnsatisfiable is ScheduleAnyway.
	TopologyKey string `json:"topologyKey"`
	// maxSkew is how many more clusters one value may have than the one with the fewest: 1.
	// +optional
	MaxSkew int32 `json:"maxSkew,omitempty"`
	// minDomains is how many values have a picked cluster at least. Where there are fewer to pick from, the spread cannot be kept.
	// +optional
	MinDomains int32 `json:"minDomains,omitempty"`
	// whenUnsatisfiable says what happens to a cluster that would break the spread: DoNotPlace, or ScheduleAnyway: DoNotPlace.
	// +optional
	WhenUnsatisfiable Unsatisfiable `json:"whenUnsatisfiable,omitempty"`
}

// AnnotationAvailability on a Cluster is why it takes on less than others, for people.
const AnnotationAvailability = "fleet.hanse.dev/availability-reason"

// WhyAvailable is what people said of why a cluster takes on what it does, in brackets; empty when they said nothing.
func (c *Cluster) WhyAvailable() string {
	reason := c.Annotations[AnnotationAvailability]
	if reason = strings.ToValidUTF8(reason[:min(len(reason), maxReason)], ""); reason != "" && Showable(reason) {
		return " (" + reason + ")"
	}
	return ""
}

// Availability says what a cluster takes on and keeps.
// +enum
type Availability string

// What a cluster can be; admins say so.
const (
	// It is given what is placed there.
	AvailabilityActive Availability = "Active"
	// It is given nothing new; what is there stays, and gets its changes.
	AvailabilityCordoned Availability = "Cordoned"
	// It is given nothing new, and what is there leaves, by rollouts.
	AvailabilityDrained Availability = "Drained"
)
