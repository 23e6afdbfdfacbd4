package main

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
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
		clusters = append(clusters, prospect{Cluster: cluster, Refused: f.refusals()})
	}
	if groups := alikeIn(clusters); len(groups) != 1 {
		t.Errorf("they are told apart: %v", groups)
	}
}
