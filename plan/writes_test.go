package plan_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/plan"
)

// TestARolloutIsWrittenOnceToBeginAndOnceToEnd: of a thousand that begin together each write more is a megabyte of the log.
func TestARolloutIsWrittenOnceToBeginAndOnceToEnd(t *testing.T) {
	const bundles = 20
	s := noSoak(bundles, 1)
	steps := plan.Decide(s)
	if len(steps) != bundles {
		t.Fatalf("they begin in %d steps", len(steps))
	}
	for _, step := range steps {
		r := step.Rollouts[0]
		if len(step.Rollouts) != 1 || len(step.Grants) != 1 || r.Status.Phase != v1alpha1.RolloutRunning {
			t.Errorf("%s: %d rollouts, %d grants, %s", step.Bundle, len(step.Rollouts), len(step.Grants), r.Status.Phase)
		}
	}
	s = written(s, steps)
	for _, step := range steps {
		for cluster, g := range step.Grants {
			g.At = 2
			s.Grants[step.Bundle][cluster] = g
		}
	}
	s.Now = s.Now.Add(2 * time.Second)
	if again := plan.Decide(s); len(again) > 0 {
		t.Errorf("nothing was heard, and it is told again in %d steps: %+v", len(again), again[0].Rollouts[0].Status)
	}
	for bundle, by := range s.Grants {
		for cluster, g := range by {
			s.Sightings[cluster].Works[bundle] = v1alpha1.WorkStatus{Grant: 2, Applied: g.Revision, Health: v1alpha1.HealthReady}
		}
	}
	ended := plan.Decide(s)
	if len(ended) != bundles {
		t.Fatalf("they end in %d steps", len(ended))
	}
	for _, step := range ended {
		if r := step.Rollouts[0]; len(step.Rollouts) != 1 || len(step.Grants) > 0 || r.Status.Phase != v1alpha1.RolloutComplete || len(r.Status.InChange) > 0 {
			t.Errorf("%s: %d rollouts, %+v", step.Bundle, len(step.Rollouts), r.Status)
		}
	}
}

// TestAFaultDomainIsLetGoBeforeAnotherIsTaken: of two bundles in a cluster each, the one that is done, and the one that waits for it.
func TestAFaultDomainIsLetGoBeforeAnotherIsTaken(t *testing.T) {
	s := noSoak(2, 2)
	s.Fleet.MaxDomains = 1
	waits, done := s.Bundles[0], s.Bundles[1]
	waits.Spec.Placement, done.Spec.Placement = v1alpha1.Placement{Clusters: []string{"cluster-000"}}, v1alpha1.Placement{Clusters: []string{"cluster-001"}}
	delete(s.Grants[waits.Name], "cluster-001")
	delete(s.Grants[done.Name], "cluster-000")
	waits.Generation = 1
	steps := plan.Decide(s)
	s = written(s, steps)
	g := steps[0].Grants["cluster-001"]
	g.At = 2
	s.Grants[done.Name]["cluster-001"] = g
	s.Sightings["cluster-001"].Works[done.Name] = v1alpha1.WorkStatus{Grant: 2, Applied: g.Revision, Health: v1alpha1.HealthReady}
	waits.Generation = 2
	inChange, taken := map[string]int{done.Name: 1}, 0
	for _, step := range plan.Decide(s) {
		for _, r := range step.Rollouts {
			inChange[step.Bundle] = len(r.Status.InChange)
		}
		if taken += len(step.Grants); inChange[waits.Name]+inChange[done.Name] > 1 {
			t.Errorf("after the step of %s these are in change: %v", step.Bundle, inChange)
		}
	}
	if taken != 1 {
		t.Errorf("%d grants of the next domain", taken)
	}
}

// noSoak is a large fleet whose rollouts do not soak.
func noSoak(bundles, clusters int) plan.Situation {
	s := largeFleet(bundles, clusters, bundles)
	for _, b := range s.Bundles {
		b.Spec.Rollout = &v1alpha1.BundleRollout{Soak: &metav1.Duration{}}
	}
	return s
}
