package render

import (
	"cmp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

var pathIgnore = field.NewPath("spec", "ignore")

// ignore leaves fields out that others own in the cluster. What is not there need not be left out. What all rules say of an object is
// left out together: a path means what is there before any of it is.
func (s *scene) ignore(all []v1alpha1.IgnoredFields) error {
	paths := make([][][]string, len(all))
	for i, rule := range all {
		for j, path := range rule.Paths {
			steps, err := pointer(map[string]any{"path": path}, "path")
			if err != nil {
				return field.Invalid(pathIgnore.Index(i).Child("paths").Index(j), path, err.Error())
			}
			paths[i] = append(paths[i], steps)
		}
	}
	for i := range s.objects {
		var of [][]string
		for j, rule := range all {
			if names(rule.Target, &s.objects[i]) {
				of = append(of, paths[j]...)
			}
		}
		if err := leaveOut(s.objects[i].Object, of); err != nil {
			return err
		}
	}
	return nil
}

// leaveOut removes what is at some paths, the last item of a list first, and what is inside another before that one: so none is moved
// before its turn.
func leaveOut(object map[string]any, paths [][]string) error {
	slices.SortFunc(paths, func(a, b []string) int { return slices.CompareFunc(b, a, compareSteps) })
	for _, path := range slices.CompactFunc(paths, slices.Equal) {
		if _, err := find(object, path); err != nil {
			continue
		}
		if err := change(object, path, removes); err != nil {
			return err
		}
	}
	return nil
}

// compareSteps orders places in a list as numbers; of two numbers the longer one is greater.
func compareSteps(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}
