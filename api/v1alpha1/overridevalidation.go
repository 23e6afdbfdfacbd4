package v1alpha1

import (
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Bounds of the overrides of a bundle.
const (
	maxOverrides     = 256
	maxPatches       = 256 // of one override, and as many images and replicas
	maxOperations    = 1000
	MaxOverrideBytes = 1 << 20
)

// validateOverrides checks their form. Whether they can be applied is for who renders.
func validateOverrides(at *field.Path, all []Override) (errs field.ErrorList) {
	if len(all) > maxOverrides {
		return field.ErrorList{field.TooMany(at, len(all), maxOverrides)}
	}
	size := 0
	for i, o := range all {
		at := at.Index(i)
		errs = append(errs, validateChosen(at, o.Clusters, o.ClusterSelector)...)
		if n := max(len(o.Patches), len(o.Images), len(o.Replicas)); n > maxPatches {
			return append(errs, field.TooMany(at, n, maxPatches))
		}
		for j, p := range o.Patches {
			errs = append(errs, validatePatch(at.Child("patches").Index(j), p)...)
			size += p.size()
		}
		for j, image := range o.Images {
			if image.Registry == "" && image.Tag == "" {
				errs = append(errs, field.Required(at.Child("images").Index(j), "must say registry, tag or both"))
			}
		}
		for j, r := range o.Replicas {
			errs = append(errs, validateReplicas(at.Child("replicas").Index(j), r)...)
		}
	}
	if size > MaxOverrideBytes {
		errs = append(errs, field.Forbidden(at, fmt.Sprintf("%d bytes of patches are more than the limit of %d", size, MaxOverrideBytes)))
	}
	return errs
}

// Documents are what the patch says, whichever form it has; they are the patch's own, not copies.
func (p *Patch) Documents() (all []*runtime.RawExtension) {
	for i := range p.JSON {
		all = append(all, &p.JSON[i])
	}
	for _, one := range []*runtime.RawExtension{p.Merge, p.Strategic} {
		if one != nil {
			all = append(all, one)
		}
	}
	return all
}

func (p *Patch) size() (n int) {
	for _, raw := range p.Documents() {
		n += len(raw.Raw)
	}
	return n
}

func validatePatch(at *field.Path, p Patch) field.ErrorList {
	errs := validateTarget(at.Child("target"), p.Target)
	said := 0
	for _, is := range []bool{len(p.JSON) > 0, p.Merge != nil, p.Strategic != nil} {
		if is {
			said++
		}
	}
	if said != 1 {
		return append(errs, field.Required(at, "must say one of json, merge and strategic"))
	}
	if len(p.JSON) > maxOperations {
		return append(errs, field.TooMany(at.Child("json"), len(p.JSON), maxOperations))
	}
	for i := range p.JSON {
		errs = append(errs, validateDocument(at.Child("json").Index(i), &p.JSON[i])...)
	}
	errs = append(errs, validateDocument(at.Child("merge"), p.Merge)...)
	return append(errs, validateDocument(at.Child("strategic"), p.Strategic)...)
}

func validateDocument(at *field.Path, raw *runtime.RawExtension) field.ErrorList {
	var object map[string]any
	if raw == nil {
		return nil
	}
	if err := json.Unmarshal(raw.Raw, &object); err != nil || object == nil {
		return field.ErrorList{field.TypeInvalid(at, string(raw.Raw), "must be an object")}
	}
	return nil
}

func validateTarget(at *field.Path, t Target) field.ErrorList {
	if t.Kind == "" {
		return field.ErrorList{field.Required(at.Child("kind"), "")}
	}
	return nil
}

func validateReplicas(at *field.Path, r ReplicasOverride) field.ErrorList {
	errs := validateTarget(at.Child("target"), r.Target)
	if r.Count < 0 {
		errs = append(errs, field.Invalid(at.Child("count"), r.Count, "must be 0 at least"))
	}
	return errs
}

const (
	maxDivisions = 64
	maxWeight    = 1_000_000
)

func validateDivision(at *field.Path, all []Division) (errs field.ErrorList) {
	if len(all) > maxDivisions {
		return field.ErrorList{field.TooMany(at, len(all), maxDivisions)}
	}
	seen := map[Target]bool{}
	for i, d := range all {
		at := at.Index(i)
		errs = append(errs, validateTarget(at.Child("target"), d.Target)...)
		if d.Target.Name == "" {
			errs = append(errs, field.Required(at.Child("target", "name"), "one object is divided"))
		}
		if seen[d.Target] {
			errs = append(errs, field.Duplicate(at.Child("target"), d.Target))
		}
		seen[d.Target] = true
		errs = append(errs, validateEnum(at.Child("by"), d.By, DivideByWeight, DivideByFreeCapacity)...)
		if d.By == DivideByFreeCapacity && len(d.Weights) > 0 {
			errs = append(errs, field.Forbidden(at.Child("weights"), "they are for by: Weight"))
		}
		errs = append(errs, validateWeights(at.Child("weights"), d.Weights)...)
	}
	return errs
}

func validateWeights(at *field.Path, all []Weight) (errs field.ErrorList) {
	for i, w := range all {
		at := at.Index(i)
		errs = append(errs, validateChosen(at, w.Clusters, w.ClusterSelector)...)
		if w.ClusterSelector == nil && len(w.Clusters) == 0 {
			errs = append(errs, field.Required(at, "must say clusters, clusterSelector or both"))
		}
		if w.Weight < 0 || w.Weight > maxWeight {
			errs = append(errs, field.Invalid(at.Child("weight"), w.Weight, fmt.Sprintf("must be 0 to %d", maxWeight)))
		}
	}
	return errs
}
