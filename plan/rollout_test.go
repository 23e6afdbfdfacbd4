package plan_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/plan"
)

func TestAdvance(t *testing.T) {
	const uid, revision = "11112222-3333", "shop-11112222-2"
	everywhere := v1alpha1.Placement{ClusterSelector: &metav1.LabelSelector{}}
	has := func(rev string) v1alpha1.Grant { return v1alpha1.Grant{Bundle: "shop", BundleUID: uid, Revision: rev} }
	withdrawing := func(uid string) v1alpha1.Grant {
		return v1alpha1.Grant{Bundle: "shop", BundleUID: uid, Withdraw: true}
	}
	for name, c := range map[string]struct {
		placement v1alpha1.Placement
		grants    map[string]v1alpha1.Grant
		away      []string
		looking   []string
		want      plan.Step
	}{
		"a new bundle goes to every picked cluster at once": {
			placement: everywhere,
			want:      plan.Step{Wave: v1alpha1.Wave{Clusters: []string{"fra", "iad", "sin"}}},
		},
		"clusters that have the revision are left alone": {
			placement: everywhere, grants: map[string]v1alpha1.Grant{"fra": has(revision), "iad": has("shop-11112222-1")},
			want: plan.Step{Wave: v1alpha1.Wave{Clusters: []string{"iad", "sin"}}},
		},
		"a cluster that is away is owed": {
			placement: everywhere, grants: map[string]v1alpha1.Grant{"fra": has(revision), "sin": has(revision)}, away: []string{"iad"},
			want: plan.Step{Owed: []string{"iad"}},
		},
		"a cluster that only looks is owed": {
			placement: everywhere, grants: map[string]v1alpha1.Grant{"fra": has(revision), "sin": has("shop-11112222-1")}, looking: []string{"iad", "sin"},
			want: plan.Step{Owed: []string{"iad", "sin"}},
		},
		"nothing is withdrawn from a cluster that only looks": {
			placement: v1alpha1.Placement{Clusters: []string{"fra"}}, grants: map[string]v1alpha1.Grant{"fra": has(revision), "sin": has(revision)}, looking: []string{"sin"},
		},
		"a cluster that is no longer picked withdraws": {
			placement: v1alpha1.Placement{Clusters: []string{"fra"}}, grants: map[string]v1alpha1.Grant{"fra": has(revision), "sin": has(revision)},
			want: plan.Step{Wave: v1alpha1.Wave{Withdraw: []string{"sin"}}},
		},
		"a withdrawal under way is not repeated": {
			placement: v1alpha1.Placement{Clusters: []string{"fra"}}, grants: map[string]v1alpha1.Grant{"fra": has(revision), "sin": withdrawing(uid)},
		},
		"a withdrawal of this bundle is taken back when the cluster is picked again": {
			placement: v1alpha1.Placement{Clusters: []string{"sin"}}, grants: map[string]v1alpha1.Grant{"sin": withdrawing(uid)},
			want: plan.Step{Wave: v1alpha1.Wave{Clusters: []string{"sin"}}},
		},
		"a withdrawal of an earlier bundle of the name ends first": {
			placement: v1alpha1.Placement{Clusters: []string{"sin"}}, grants: map[string]v1alpha1.Grant{"sin": withdrawing("other")},
		},
		"a grant of an earlier bundle of the name is replaced: the new one adopts": {
			placement: v1alpha1.Placement{Clusters: []string{"sin"}},
			grants:    map[string]v1alpha1.Grant{"sin": {Bundle: "shop", BundleUID: "other", Revision: "shop-other-9"}},
			want:      plan.Step{Wave: v1alpha1.Wave{Clusters: []string{"sin"}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := &v1alpha1.Bundle{Spec: v1alpha1.BundleSpec{Placement: c.placement}}
			b.Name, b.UID, b.Generation = "shop", types.UID(uid), 2
			away, looking := map[string]bool{}, map[string]bool{}
			for _, a := range c.away {
				away[a] = true
			}
			for _, l := range c.looking {
				looking[l] = true
			}
			got, err := plan.Advance(plan.Situation{Bundle: b, Clusters: fleet(), Grants: c.grants, Away: away, Looking: looking})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
