package main

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/compare"
)

// TestClustersThatRefuseAlikeAreToldTogether: a cluster is asked of many objects at once, and answers in any order.
func TestClustersThatRefuseAlikeAreToldTogether(t *testing.T) {
	var clusters []prospect
	for cluster, answers := range map[string][]string{"fra": {"a", "b", "c"}, "iad": {"c", "a", "b"}} {
		f := &foresight{}
		for _, name := range answers {
			o := unstructured.Unstructured{}
			o.SetKind("ConfigMap")
			o.SetName(name)
			f.refuse(o, "it is there already")
		}
		clusters = append(clusters, prospect{Cluster: cluster, Refused: f.sorted().refused})
	}
	if groups := alikeIn(clusters); len(groups) != 1 {
		t.Errorf("they are told apart: %v", groups)
	}
}

func TestWhatIsMadeAnewIsTold(t *testing.T) {
	job := v1alpha1.ObjectRef{APIVersion: "batch/v1", Kind: "Job", Namespace: "shop", Name: "migrate"}
	image := []compare.Field{{Path: "spec.template.spec.containers[a].image", Before: "a:1", After: "a:2"}}
	var out bytes.Buffer
	diffView{out: &out}.one(difference{Kind: "bundle", Name: "shop", Clusters: []prospect{
		{Cluster: "fra", Objects: []compare.Object{{ObjectRef: job, Fate: compare.Replaced, Immutable: []string{"spec.template"}, Fields: image}}},
		{Cluster: "iad"},
	}})
	const want = `shop: 1 cluster changes, 1 stays, 1 object is deleted and made anew

fra
  ± job shop/migrate   deleted and made anew: nobody can change spec.template
      spec.template.spec.containers[a].image   a:1 → a:2

iad  no change
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}
