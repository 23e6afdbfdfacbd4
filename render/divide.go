package render

import (
	"fmt"
	"math"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// Wholes are how many pods the manifests ask for that a content's divisions name: of a Job, how many are to succeed, where it says that.
// One where a manifest does not say.
func Wholes(c v1alpha1.BundleContent) (all []int32) {
	for _, w := range wholesOf(c) {
		all = append(all, w.count)
	}
	return all
}

// whole is what a manifest says of a number that is divided.
type whole struct {
	// counted is the field of its spec that is divided.
	counted string
	count   int32
	// at once is how many pods of a Job may run at a time.
	atOnce int32
}

func wholesOf(c v1alpha1.BundleContent) (all []whole) {
	for _, d := range c.Division {
		all = append(all, wholeOf(c, d.Target))
	}
	return all
}

func wholeOf(c v1alpha1.BundleContent, t v1alpha1.Target) whole {
	for _, m := range c.Manifests {
		var u unstructured.Unstructured
		if u.UnmarshalJSON(m.Raw) != nil || !names(t, &u) {
			continue
		}
		w := whole{counted: countedBy(u.GetKind()), atOnce: specNumber(&u, "parallelism")}
		if u.GetKind() == "Job" && hasCompletions(&u) {
			w.counted = "completions"
		}
		w.count = specNumber(&u, w.counted)
		return w
	}
	return whole{}
}

// specNumber is a number in an object's spec, one where it does not say.
func specNumber(u *unstructured.Unstructured, name string) int32 {
	n, found, err := unstructured.NestedInt64(u.Object, "spec", name)
	if !found || err != nil {
		return 1
	}
	return int32(min(max(n, 0), math.MaxInt32))
}

func hasCompletions(u *unstructured.Unstructured) bool {
	n, found, _ := unstructured.NestedFieldNoCopy(u.Object, "spec", "completions")
	return found && n != nil
}

// Divided are the fields of an object's spec that a content's divisions set, whatever its overrides say.
func Divided(c v1alpha1.BundleContent, u unstructured.Unstructured) (fields []string) {
	for i, w := range wholesOf(c) {
		switch {
		case w.counted == "" || !names(c.Division[i].Target, &u):
		case w.counted == "completions":
			fields = append(fields, "completions", "parallelism")
		default:
			fields = append(fields, w.counted)
		}
	}
	return fields
}

func (s *scene) divideAll(division []v1alpha1.Division, wholes []whole, parts []int32) error {
	for i, d := range division {
		if err := s.divide(pathDivision.Index(i), d.Target, wholes[i], parts[i]); err != nil {
			return err
		}
	}
	return nil
}

// divide gives what a division names its part of the whole. Of a Job whose completions are divided, as many pods run at once as go with
// its part, one at least, so that all clusters together run about as many as the manifest says.
func (s *scene) divide(at *field.Path, t v1alpha1.Target, w whole, part int32) error {
	return s.each(at, t, false, func(u *unstructured.Unstructured) error {
		if wrong := undividable(u, w); wrong != "" {
			return field.Invalid(at.Child("target"), targetName(t), wrong)
		}
		if err := setCount(at, u, w.counted, part); err != nil || w.counted != "completions" {
			return err
		}
		atOnce := int64(0)
		if w.count > 0 {
			atOnce = (int64(w.atOnce)*int64(part) + int64(w.count) - 1) / int64(w.count)
		}
		return setCount(at, u, "parallelism", int32(min(atOnce, math.MaxInt32)))
	})
}

// undividable says why an object cannot be divided, empty when it can.
func undividable(u *unstructured.Unstructured, w whole) string {
	mode, _, _ := unstructured.NestedString(u.Object, "spec", "completionMode")
	switch {
	case countedBy(u.GetKind()) == "":
		return "has no replicas: only Deployment, ReplicaSet, StatefulSet and Job do"
	case u.GetKind() != "Job":
		return ""
	case mode == "Indexed":
		return "is an Indexed Job: every cluster counts its pods from 0, so the first indexes would be worked on in each cluster and the last in none; let its pods take work from a queue (completionMode NonIndexed), or have a Job a share"
	case w.counted != "completions" && hasCompletions(u):
		return "has its completions of an override, and each cluster would have them all; say completions in the manifest, which is what is divided"
	}
	return ""
}

func setCount(at *field.Path, u *unstructured.Unstructured, name string, count int32) error {
	if err := unstructured.SetNestedField(u.Object, int64(count), "spec", name); err != nil {
		return field.Invalid(at, u.GetKind()+" "+u.GetName(), fmt.Sprintf("cannot be set: %v", err))
	}
	return nil
}
