package v1alpha1

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// TaintUnreachable is the key of the taint that a cluster has for as long as its status says that it is unreachable. The fleet
// itself puts it there; what is placed by a number or divided moves away from it in time, whoever does not tolerate it longer.
const TaintUnreachable = "fleet.hanse.dev/unreachable"

// How what an unreachable cluster has moves away, where nobody says.
const (
	DefaultTolerationSeconds  = 300
	DefaultEvictionsPerMinute = 6
	DefaultEvictionPercent    = 34 // a third of the clusters
	DefaultHoldDown           = 5 * time.Minute
	maxEvictionsPerMinute     = 60
)

// Eviction is how what is placed by a number of clusters, or divided among them, moves away from clusters that are unreachable.
type Eviction struct {
	// perMinute is how many clusters it moves away from in a minute, 60 at most: 6.
	// +optional
	PerMinute int32 `json:"perMinute,omitempty"`
	// maxPercent is how many of a hundred clusters may be unreachable; while more are, nothing moves: 34.
	// +optional
	MaxPercent int32 `json:"maxPercent,omitempty"`
	// holdDown is for how long a cluster that something moved away from is reached again before anything new comes to it: 5m.
	// +optional
	HoldDown *metav1.Duration `json:"holdDown,omitempty"`
}

// Resolved is the eviction with what it does not say filled in. nil says nothing.
func (e *Eviction) Resolved() Eviction {
	var said Eviction
	if e != nil {
		said = *e
	}
	setDefault(&said.PerMinute, DefaultEvictionsPerMinute)
	setDefault(&said.MaxPercent, DefaultEvictionPercent)
	if said.HoldDown == nil {
		said.HoldDown = &metav1.Duration{Duration: DefaultHoldDown}
	}
	return said
}

func validateEviction(at *field.Path, e *Eviction) (errs field.ErrorList) {
	if e == nil {
		return nil
	}
	if e.PerMinute < 0 || e.PerMinute > maxEvictionsPerMinute {
		errs = append(errs, field.Invalid(at.Child("perMinute"), e.PerMinute, fmt.Sprintf("must be 1 to %d, or left out", maxEvictionsPerMinute)))
	}
	if e.MaxPercent < 0 || e.MaxPercent > 100 {
		errs = append(errs, field.Invalid(at.Child("maxPercent"), e.MaxPercent, "must be 1 to 100, or left out"))
	}
	if h := e.HoldDown; h != nil && (h.Duration < 0 || h.Duration > MaxSoak) {
		errs = append(errs, field.Invalid(at.Child("holdDown"), h.Duration.String(), fmt.Sprintf("must be 0s to %s", MaxSoak)))
	}
	return errs
}

// Tolerated is for how long a bundle so placed lets a cluster be unreachable that it is in; ever says that it always does. Of
// several tolerations the shortest counts, as in Kubernetes.
func (p Placement) Tolerated() (d time.Duration, ever bool) {
	taint, found, least := Taint{Key: TaintUnreachable, Effect: TaintNoExecute}, false, int64(-1)
	for _, t := range p.Tolerations {
		if !t.Tolerates(taint) {
			continue
		}
		found = true
		if s := t.TolerationSeconds; s != nil && (least < 0 || *s < least) {
			least = *s
		}
	}
	switch {
	case !found:
		return DefaultTolerationSeconds * time.Second, false
	case least < 0:
		return 0, true
	}
	return time.Duration(max(least, 1)) * time.Second, false
}

// Moves says that the bundle moves away from a cluster that is unreachable for too long: another one is to be picked instead, or
// others have its pods meanwhile.
func (s BundleSpec) Moves() bool {
	moves := func(d Division) bool { return !d.Stays() }
	return s.Placement.NumberOfClusters != nil || slices.ContainsFunc(s.Division, moves)
}

// UnreachablePhase is what has become of a cluster that was unreachable.
// +enum
type UnreachablePhase string

// The phases of a cluster that was unreachable.
const (
	// Nothing is heard of it.
	UnreachableGone UnreachablePhase = "Gone"
	// It is heard again, something moved away from it, and nothing new comes to it before the hold-down is over.
	UnreachableBack UnreachablePhase = "Back"
	// The hold-down is over, and it is about to get its part again of what is divided.
	UnreachableReturning UnreachablePhase = "Returning"
)

// Unreachable is what the fleet has settled about a cluster that it did not hear. All of it is in the log, so no other leader, and no
// other clock, skips what was waited for, or waits for it anew.
type Unreachable struct {
	// phase is Gone, Back or Returning.
	Phase UnreachablePhase `json:"phase"`
	// since is when it was settled that nothing is heard of it: for half a minute nothing was, by a majority of the voters.
	Since metav1.Time `json:"since"`
	// by are the clusters whose members said so; they vote.
	// +optional
	// +listType=set
	By []string `json:"by,omitempty"`
	// for is how long it has been gone, as far as it is written down.
	For metav1.Duration `json:"for"`
	// evicted is for how long it had been gone when something moved away from it: bundles that tolerate no more than that did, or are about to.
	// +optional
	Evicted metav1.Duration `json:"evicted,omitempty"`
	// back is for how long it is heard again.
	// +optional
	Back metav1.Duration `json:"back,omitempty"`
	// counted is when for and back were written down, by the leader's clock.
	Counted metav1.Time `json:"counted"`
}
