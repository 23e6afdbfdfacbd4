package v1alpha1_test

import (
	"testing"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

func TestFewListsTheFirstAndCountsTheOthers(t *testing.T) {
	names := []string{"sin", "fra", "iad", "ams"}
	for want, n := range map[string]int{"": 0, "sin": 1, "sin, fra, iad": 3, "sin, fra, iad and 1 more": 4} {
		if got := v1alpha1.Few(names[:n], 3); got != want {
			t.Errorf("of %d: %q, want %q", n, got, want)
		}
	}
}
