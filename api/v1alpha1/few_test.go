package v1alpha1_test

import (
	"testing"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

func TestOneThingIsSaidOfAsOne(t *testing.T) {
	for n, want := range map[int32]string{0: "0 objects go", 1: "1 object goes", 2: "2 objects go"} {
		if got := v1alpha1.Counted(n, "1 object goes", "%d objects go"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestFewListsTheFirstAndCountsTheOthers(t *testing.T) {
	names := []string{"sin", "fra", "iad", "ams"}
	for want, n := range map[string]int{"": 0, "sin": 1, "sin, fra, iad": 3, "sin, fra, iad and 1 more": 4} {
		if got := v1alpha1.Few(names[:n], 3); got != want {
			t.Errorf("of %d: %q, want %q", n, got, want)
		}
	}
}
