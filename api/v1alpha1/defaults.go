package v1alpha1

import (
	"time"

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
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
