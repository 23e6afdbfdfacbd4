package plan_test

import (
	"fmt"
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/plan"
)

func TestDivide(t *testing.T) {
	const weight, free = v1alpha1.DivideByWeight, v1alpha1.DivideByFreeCapacity
	for name, c := range map[string]struct {
		whole  int32
		by     v1alpha1.DivideBy
		claims []plan.Claim
		want   map[string]int32
	}{
		"by weight":                       {9, weight, []plan.Claim{{Cluster: "a", Weight: 2}, {Cluster: "b", Weight: 1}}, map[string]int32{"a": 6, "b": 3}},
		"what is left goes by name":       {7, weight, []plan.Claim{{Cluster: "b", Weight: 1}, {Cluster: "a", Weight: 1}}, map[string]int32{"a": 4, "b": 3}},
		"who had more keeps what is left": {7, weight, []plan.Claim{{Cluster: "a", Weight: 1, Has: 3}, {Cluster: "b", Weight: 1, Has: 4}}, map[string]int32{"a": 3, "b": 4}},
		"who weighs nothing gets nothing": {7, weight, []plan.Claim{{Cluster: "a", Weight: 1}, {Cluster: "b"}, {Cluster: "c", Has: 9}}, map[string]int32{"a": 7, "b": 0, "c": 0}},
		"nobody weighs anything":          {4, weight, []plan.Claim{{Cluster: "a"}, {Cluster: "b"}}, map[string]int32{"a": 2, "b": 2}},
		"what is granted stays":           {10, weight, []plan.Claim{{Cluster: "a", Weight: 1, Has: 6, Fixed: true}, {Cluster: "b", Weight: 1}, {Cluster: "c", Weight: 1}}, map[string]int32{"a": 6, "b": 2, "c": 2}},
		"one that comes later takes over": {10, weight, []plan.Claim{{Cluster: "a", Weight: 1, Has: 5, Fixed: true}, {Cluster: "c", Weight: 1}}, map[string]int32{"a": 5, "c": 5}},
		"by free capacity":                {10, free, []plan.Claim{{Cluster: "a", Weight: 4000}, {Cluster: "b", Weight: 1000}}, map[string]int32{"a": 8, "b": 2}},
		"a busy hour moves nothing":       {10, free, []plan.Claim{{Cluster: "a", Weight: 0, Has: 8}, {Cluster: "b", Weight: 9000, Has: 2}}, map[string]int32{"a": 8, "b": 2}},
		"more goes where there is room":   {12, free, []plan.Claim{{Cluster: "a", Weight: 0, Has: 8}, {Cluster: "b", Weight: 9000, Has: 2}}, map[string]int32{"a": 8, "b": 4}},
		"fewer are taken from all alike":  {5, free, []plan.Claim{{Cluster: "a", Weight: 0, Has: 8}, {Cluster: "b", Weight: 9000, Has: 2}}, map[string]int32{"a": 4, "b": 1}},
		"more is fixed than there is":     {5, weight, []plan.Claim{{Cluster: "a", Has: 8, Fixed: true}, {Cluster: "b", Weight: 1}}, map[string]int32{"a": 8, "b": 0}},
		"nobody there":                    {5, weight, nil, map[string]int32{}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, plan.Divide(c.whole, c.claims, c.by)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func claims(t *rapid.T) (all []plan.Claim) {
	for i := range rapid.IntRange(1, 8).Draw(t, "claims") {
		all = append(all, plan.Claim{Cluster: fmt.Sprint("c", i), Weight: rapid.Int64Range(0, 1<<40).Draw(t, "weight"), Has: rapid.Int32Range(0, 50).Draw(t, "has")})
	}
	return all
}

func TestPartsAddUpAndStay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all, whole := claims(t), rapid.Int32Range(0, 1000).Draw(t, "whole")
		by := rapid.SampledFrom([]v1alpha1.DivideBy{v1alpha1.DivideByWeight, v1alpha1.DivideByFreeCapacity}).Draw(t, "by")
		parts := plan.Divide(whole, all, by)
		sum := int32(0)
		for name, n := range parts {
			if n < 0 {
				t.Fatalf("%s has %d", name, n)
			}
			sum += n
		}
		if sum != whole {
			t.Fatalf("%v add up to %d, not %d", parts, sum, whole)
		}
		for i := range all {
			all[i].Has = parts[all[i].Cluster]
			if by == v1alpha1.DivideByFreeCapacity {
				all[i].Weight = rapid.Int64Range(0, 1<<40).Draw(t, "other weight")
			}
		}
		again := plan.Divide(whole, rapid.Permutation(all).Draw(t, "order"), by)
		if !maps.Equal(parts, again) {
			t.Fatalf("%v became %v", parts, again)
		}
	})
}

// Clusters are granted one wave after the other, each with its part at that moment.
func TestPartsAddUpHoweverTheWavesGo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all, whole := claims(t), rapid.Int32Range(0, 1000).Draw(t, "whole")
		by := rapid.SampledFrom([]v1alpha1.DivideBy{v1alpha1.DivideByWeight, v1alpha1.DivideByFreeCapacity}).Draw(t, "by")
		sum := int32(0)
		for _, i := range rapid.Permutation(seq(len(all))).Draw(t, "waves") {
			all[i].Has, all[i].Fixed = plan.Divide(whole, all, by)[all[i].Cluster], true
			sum += all[i].Has
		}
		if sum != whole {
			t.Fatalf("%v add up to %d, not %d", all, sum, whole)
		}
	})
}

func seq(n int) (all []int) {
	for i := range n {
		all = append(all, i)
	}
	return all
}

func TestPartsGoByTheWeightsAndTheGrants(t *testing.T) {
	web := v1alpha1.Target{Kind: "Deployment", Name: "web"}
	division := []v1alpha1.Division{{Target: web, By: v1alpha1.DivideByWeight, Weights: []v1alpha1.Weight{
		{Clusters: []string{"fra"}, Weight: 2}, {ClusterSelector: anywhere().ClusterSelector, Weight: 1},
	}}}
	p := plan.Parting{Division: division, Wholes: []int32{9}, Revision: "shop-2", Picked: []string{"fra", "iad"}, Ground: plan.Ground{Clusters: []v1alpha1.Cluster{town("fra", "eu"), town("iad", "us"), town("sin", "ap")}}}
	if got := append(plan.Parts(p, "fra"), plan.Parts(p, "iad")...); !cmp.Equal(got, []int32{6, 3}) {
		t.Errorf("parts are %v", got)
	}
	p.Grants = map[string]v1alpha1.Grant{"fra": {Revision: "shop-2", Frozen: &v1alpha1.Frozen{Divided: []int32{4}}}}
	if got := plan.Parts(p, "iad"); !cmp.Equal(got, []int32{5}) {
		t.Errorf("what is left of a granted revision is %v", got)
	}
	if got := plan.Parts(p, "sin"); !cmp.Equal(got, []int32{0}) {
		t.Errorf("who is not picked has %v", got)
	}
}
