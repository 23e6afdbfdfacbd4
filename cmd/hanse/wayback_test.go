package main

import (
	"testing"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

func TestTheWayBackThatIsToldIsThere(t *testing.T) {
	failed := v1alpha1.Rollout{Spec: v1alpha1.RolloutSpec{Bundle: "shop", Generation: 2}}
	good := v1alpha1.Rollout{Spec: v1alpha1.RolloutSpec{Bundle: "shop", Generation: 1, Revision: "shop-1"}, Status: v1alpha1.RolloutStatus{Phase: v1alpha1.RolloutComplete}}
	secret := v1alpha1.Rollout{Spec: v1alpha1.RolloutSpec{Bundle: "secret.db", Generation: 2}}
	sealed := v1alpha1.Rollout{Spec: v1alpha1.RolloutSpec{Bundle: "secret.db", Generation: 1, Revision: "secret.db-1"}, Status: v1alpha1.RolloutStatus{Phase: v1alpha1.RolloutComplete}}
	for want, c := range map[string]struct {
		of  v1alpha1.Rollout
		all []v1alpha1.Rollout
	}{
		"hanse rollout rollback shop":                            {failed, []v1alpha1.Rollout{good, failed}},
		"apply what is better":                                   {failed, []v1alpha1.Rollout{failed}},
		"seal the value that secret db is to have, and apply it": {secret, []v1alpha1.Rollout{secret}},
		"hanse rollout rollback secret.db":                       {secret, []v1alpha1.Rollout{sealed, secret}},
	} {
		if got := wayBack(&c.of, c.all); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
