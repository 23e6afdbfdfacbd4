package v1alpha1

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// DefaultVoters is how many members vote in a fleet that does not say.
const DefaultVoters = 3

// What is remembered of changes in a fleet that does not say, and at most.
const (
	DefaultHistoryKeep = 50
	DefaultHistoryFor  = 30 * 24 * time.Hour
	MaxHistoryKeep     = 1000
)

// Kept are the bounds with what they do not say filled in. nil says nothing.
func (h *HistorySpec) Kept() HistorySpec {
	var kept HistorySpec
	if h != nil {
		kept = *h
	}
	setDefault(&kept.Keep, DefaultHistoryKeep)
	setDefault(&kept.For.Duration, DefaultHistoryFor)
	return kept
}

// How changes go through a fleet that does not say.
const (
	DefaultMaxDomains       = 1
	DefaultSoak             = 30 * time.Second
	DefaultProgressDeadline = 10 * time.Minute
)

// What a change may delete unasked in a fleet that does not say.
const (
	DefaultClusterDeletions       = 50
	DefaultClusterDeletionPercent = 20
	DefaultFleetDeletions         = 1000
	DefaultFleetDeletionPercent   = 50
)

// Resolved is the cap with what it does not say filled in. nil says nothing.
func (d *DeletionCap) Resolved() DeletionCap {
	var said DeletionCap
	if d != nil {
		said = *d
	}
	return DeletionCap{
		PerCluster: said.PerCluster.resolved(DefaultClusterDeletions, DefaultClusterDeletionPercent),
		Fleet:      said.Fleet.resolved(DefaultFleetDeletions, DefaultFleetDeletionPercent),
	}
}

// Tightened is the cap with another one's bounds where those are lower. nil says nothing.
func (d DeletionCap) Tightened(by *DeletionCap) DeletionCap {
	if by == nil {
		return d
	}
	return DeletionCap{PerCluster: d.PerCluster.tightened(by.PerCluster), Fleet: d.Fleet.tightened(by.Fleet)}
}

func (b *DeletionBound) resolved(objects, percent int32) *DeletionBound {
	resolved := DeletionBound{Objects: &objects, Percent: &percent}
	return resolved.replaced(b)
}

// replaced is the bound, with what another one says in its place.
func (b DeletionBound) replaced(by *DeletionBound) *DeletionBound {
	if by != nil && by.Objects != nil {
		b.Objects = by.Objects
	}
	if by != nil && by.Percent != nil {
		b.Percent = by.Percent
	}
	return &b
}

func (b *DeletionBound) tightened(by *DeletionBound) *DeletionBound {
	if by == nil {
		return b
	}
	lower := *by
	if lower.Objects != nil && *lower.Objects > *b.Objects {
		lower.Objects = nil
	}
	if lower.Percent != nil && *lower.Percent > *b.Percent {
		lower.Percent = nil
	}
	return b.replaced(&lower)
}

// Resolved are the fleet's settings with what they do not say filled in. nil says nothing.
func (f *FleetRollout) Resolved() FleetRollout {
	var resolved FleetRollout
	if f != nil {
		resolved = *f
	}
	setDefault(&resolved.Domain, LabelRegion)
	setDefault(&resolved.MaxDomains, DefaultMaxDomains)
	setDefault(&resolved.WhileLost, WhileLostSurvivors)
	setDefault(&resolved.OnFailure, OnFailurePause)
	if resolved.Soak == nil {
		resolved.Soak = &metav1.Duration{Duration: DefaultSoak}
	}
	if resolved.ProgressDeadline == nil {
		resolved.ProgressDeadline = &metav1.Duration{Duration: DefaultProgressDeadline}
	}
	deletions := resolved.Deletions.Resolved()
	resolved.Deletions = &deletions
	eviction := resolved.Eviction.Resolved()
	resolved.Eviction = &eviction
	return resolved
}

// Resolved are the bundle's settings with what they do not say filled in from the fleet's. nil says nothing.
func (b *BundleRollout) Resolved(f FleetRollout) BundleRollout {
	var resolved BundleRollout
	if b != nil {
		resolved = *b
	}
	if resolved.Soak == nil {
		resolved.Soak = f.Resolved().Soak
	}
	if resolved.ProgressDeadline == nil {
		resolved.ProgressDeadline = f.Resolved().ProgressDeadline
	}
	setDefault(&resolved.Approval, ApprovalNever)
	setDefault(&resolved.OnFailure, f.Resolved().OnFailure)
	return resolved
}

func addDefaults(scheme *runtime.Scheme) error {
	scheme.AddTypeDefaultingFunc(&Fleet{}, func(obj any) { SetFleetDefaults(obj.(*Fleet)) })
	scheme.AddTypeDefaultingFunc(&Cluster{}, func(obj any) { SetClusterDefaults(obj.(*Cluster)) })
	scheme.AddTypeDefaultingFunc(&Bundle{}, func(obj any) { SetBundleDefaults(obj.(*Bundle)) })
	return nil
}

// SetFleetDefaults fills in what the fleet does not say.
func SetFleetDefaults(f *Fleet) { setDefault(&f.Spec.Voters, DefaultVoters) }

// SetClusterDefaults fills in what the cluster does not say. Eligible clusters have rights Admin, others OwnObjects.
func SetClusterDefaults(c *Cluster) {
	setDefault(&c.Spec.Voting, VotingEligible)
	if c.Spec.Voting == VotingEligible {
		setDefault(&c.Spec.Rights, RightsAdmin)
	}
	setDefault(&c.Spec.Rights, RightsOwnObjects)
}

// SetBundleDefaults fills in what the bundle does not say.
func SetBundleDefaults(b *Bundle) {
	setDefault(&b.Spec.Drift, DriftCorrect)
	setDefault(&b.Spec.Deletion, DeletionPrune)
	setDefault(&b.Spec.Adopt, AdoptNever)
	setDivisionDefaults(&b.Spec.BundleContent)
	for i := range b.Spec.Placement.SpreadConstraints {
		setSpreadDefaults(&b.Spec.Placement.SpreadConstraints[i])
	}
	for i := range b.Spec.Placement.Tolerations {
		setDefault(&b.Spec.Placement.Tolerations[i].Operator, TolerationEqual)
	}
}

func setDivisionDefaults(c *BundleContent) {
	for i := range c.Division {
		setDefault(&c.Division[i].By, DivideByWeight)
	}
}

func setSpreadDefaults(s *SpreadConstraint) {
	setDefault(&s.MaxSkew, 1)
	setDefault(&s.WhenUnsatisfiable, DoNotPlace)
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
