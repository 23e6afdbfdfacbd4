package plan

import (
	"testing"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

func TestWhatIsSomebodyElsesIsTakenAsTheBundleSays(t *testing.T) {
	for _, tt := range []struct {
		adopt     v1alpha1.AdoptPolicy
		had, runs bool
		want      Taking
	}{
		{v1alpha1.AdoptNever, false, false, Leaves}, {v1alpha1.AdoptNever, false, true, Leaves}, {"", false, false, Leaves},
		{v1alpha1.AdoptIfEqual, false, false, TakesEqual}, {v1alpha1.AdoptIfEqual, false, true, Leaves}, {v1alpha1.AdoptIfEqual, true, false, Leaves},
		{v1alpha1.AdoptAlways, false, false, Takes}, {v1alpha1.AdoptAlways, false, true, Takes}, {v1alpha1.AdoptAlways, true, true, Leaves},
	} {
		if got := TakingOver(tt.adopt, tt.had, tt.runs); got != tt.want {
			t.Errorf("%+v: %d", tt, got)
		}
	}
}
