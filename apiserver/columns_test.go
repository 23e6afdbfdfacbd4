package apiserver

import (
	"testing"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

func TestALineOfATableFitsATerminal(t *testing.T) {
	long := v1alpha1.RolloutStatus{Phase: v1alpha1.RolloutRunning, Message: "wave 2 of 3 (us), 1 of 2 healthy, and what is told besides"}
	asks := v1alpha1.RolloutStatus{Phase: v1alpha1.RolloutPaused, Message: "nothing is granted: it would delete 12 of 12 objects", Deletions: &v1alpha1.RolloutDeletions{Objects: 12}}
	done := v1alpha1.RolloutStatus{Phase: v1alpha1.RolloutComplete, Message: "every cluster is healthy"}
	for want, status := range map[string]v1alpha1.RolloutStatus{
		"wave 2 of 3 (us), 1 of 2 healthy, and w…": long, "approval to delete 12 objects": asks, "every cluster is healthy": done,
	} {
		if got := waits(&v1alpha1.Rollout{Status: status}); got != want {
			t.Errorf("it waits for %q, not %q", got, want)
		}
	}
	for name, want := range map[string]string{
		"ac243ccee5da108d8e6403252d2b583d751022fe69135a26c4f639bc7defe543": "ac243ccee5da…",
		"shop": "shop", "deadbeef": "deadbeef",
	} {
		if got := briefly(name); got != want {
			t.Errorf("%s is called %s", name, got)
		}
	}
}
