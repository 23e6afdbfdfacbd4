package main

import (
	"context"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/plan"
)

// prior is a bundle that another one waits for, and the clusters in which it is placed.
type prior struct {
	picked  []string
	objects []unstructured.Unstructured
}

// priors are the bundles that come before another one, as they are to be: what they bring is there when that one comes.
func (d *differ) priors(ctx context.Context, b v1alpha1.Bundle, in scene) (all []prior, err error) {
	names, seen := slices.Clone(b.Spec.DependsOn), map[string]bool{b.Name: true}
	for len(names) > 0 {
		name := names[0]
		names = names[1:]
		if seen[name] {
			continue
		}
		seen[name] = true
		one, there, err := d.asToBe(ctx, name)
		if err != nil {
			return nil, err
		}
		if !there {
			continue
		}
		names = append(names, one.Spec.DependsOn...)
		decision, err := plan.Place(one.Spec.Placement, in.of(one))
		if err != nil {
			return nil, fmt.Errorf("bundle %s, that it depends on: %w", name, err)
		}
		p := prior{picked: decision.Picked}
		for _, m := range one.Spec.Manifests {
			var o unstructured.Unstructured
			if err := o.UnmarshalJSON(m.Raw); err == nil { // else it is not taken when it is written
				p.objects = append(p.objects, o)
			}
		}
		all = append(all, p)
	}
	return all, nil
}

// asToBe is a bundle as it is to be after all that diff was given, or else as it is; false: it is neither there nor to be.
func (d *differ) asToBe(ctx context.Context, name string) (b v1alpha1.Bundle, there bool, err error) {
	i := slices.IndexFunc(d.given, func(ch change) bool { return ch.kind.name == "Bundle" && ch.name == name && !ch.raw })
	if i >= 0 {
		return b, true, fromMap(d.given[i].object, &b)
	}
	_, err = d.fleet.read(ctx, request{path: mustKind("Bundle").path(name)}, &b)
	if isReason(err, metav1.StatusReasonNotFound) {
		return b, false, nil
	}
	return b, err == nil, err
}

// broughtTo are the objects that come to a cluster before what depends on them.
func broughtTo(cluster string, all []prior) (objects []unstructured.Unstructured) {
	for _, p := range all {
		if slices.Contains(p.picked, cluster) {
			objects = append(objects, p.objects...)
		}
	}
	return objects
}
