package v1alpha1

import (
	"fmt"
	"math"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Bounds of a placement and of a cluster's taints.
const (
	maxTaints      = 32
	maxTolerations = 32
	maxSpreads     = 8
	// MaxExpression is how long an expression may be, in bytes.
	MaxExpression = 2048
)

func validatePlacement(at *field.Path, p Placement) field.ErrorList {
	errs := validateChosen(at, p.Clusters, p.ClusterSelector)
	if n := p.NumberOfClusters; n != nil && *n < 1 {
		errs = append(errs, field.Invalid(at.Child("numberOfClusters"), *n, "must be 1 at least; without it, all are picked"))
	}
	if n := len(p.Expression); n > MaxExpression {
		errs = append(errs, field.TooLong(at.Child("expression"), "", MaxExpression))
	}
	errs = append(errs, validateTolerations(at.Child("tolerations"), p.Tolerations)...)
	return append(errs, validateSpreads(at.Child("spreadConstraints"), p)...)
}

// validateChosen checks how clusters are chosen, by name and by selector.
func validateChosen(at *field.Path, names []string, selector *metav1.LabelSelector) field.ErrorList {
	errs := validateClusterNames(at.Child("clusters"), names)
	if selector == nil {
		return errs
	}
	return append(errs, metav1validation.ValidateLabelSelector(selector, metav1validation.LabelSelectorValidationOptions{}, at.Child("clusterSelector"))...)
}

// validateClusterNames asks for names of clusters, each once.
func validateClusterNames(at *field.Path, names []string) (errs field.ErrorList) {
	seen := map[string]bool{}
	for i, name := range names {
		errs = append(errs, validateLabelName(at.Index(i), name)...)
		if seen[name] {
			errs = append(errs, field.Duplicate(at.Index(i), name))
		}
		seen[name] = true
	}
	return errs
}

func validateTolerations(at *field.Path, all []Toleration) (errs field.ErrorList) {
	if len(all) > maxTolerations {
		return field.ErrorList{field.TooMany(at, len(all), maxTolerations)}
	}
	for i, t := range all {
		at := at.Index(i)
		errs = append(errs, validateEnum(at.Child("operator"), t.Operator, TolerationEqual, TolerationExists)...)
		if t.Key != "" {
			errs = append(errs, validateLabelKey(at.Child("key"), t.Key)...)
		} else if t.Operator != TolerationExists {
			errs = append(errs, field.Required(at.Child("key"), "only with operator Exists may it be left out: then every taint is tolerated"))
		}
		if t.Operator == TolerationExists && t.Value != "" {
			errs = append(errs, field.Forbidden(at.Child("value"), "operator Exists is for any value"))
		}
		errs = append(errs, validateLabelValue(at.Child("value"), t.Value)...)
		if t.Effect != "" {
			errs = append(errs, validateEnum(at.Child("effect"), t.Effect, TaintNoSchedule, TaintNoExecute)...)
		}
		errs = append(errs, validateTolerationSeconds(at.Child("tolerationSeconds"), t)...)
	}
	return errs
}

// validateTolerationSeconds asks for the one taint whose time the fleet counts, and the effect that drives out.
func validateTolerationSeconds(at *field.Path, t Toleration) field.ErrorList {
	switch s := t.TolerationSeconds; {
	case s == nil:
		return nil
	case t.Key != TaintUnreachable || t.Effect != TaintNoExecute:
		return field.ErrorList{field.Forbidden(at, fmt.Sprintf("only of key %s with effect %s is the time counted; any other taint is tolerated, or not", TaintUnreachable, TaintNoExecute))}
	case *s < 1:
		return field.ErrorList{field.Invalid(at, *s, "must be 1 at least; without it, the taint is tolerated ever")}
	}
	return nil
}

// validateCost asks for a number that costs can be compared by.
func validateCost(at *field.Path, labels map[string]string) field.ErrorList {
	said, ok := labels[LabelCost]
	if cost, err := strconv.ParseFloat(said, 64); ok && (err != nil || !(cost >= 0 && cost <= math.MaxFloat32)) {
		return field.ErrorList{field.Invalid(at, said, "must be a number, 0 at least")}
	}
	return nil
}

func validateTaints(at *field.Path, all []Taint) (errs field.ErrorList) {
	if len(all) > maxTaints {
		return field.ErrorList{field.TooMany(at, len(all), maxTaints)}
	}
	seen := map[string]bool{}
	for i, t := range all {
		at := at.Index(i)
		errs = append(errs, validateLabelKey(at.Child("key"), t.Key)...)
		if t.Key == TaintUnreachable {
			errs = append(errs, field.Forbidden(at.Child("key"), "the fleet itself says which clusters are unreachable; for what is to leave, set spec.availability to Drained"))
		}
		errs = append(errs, validateLabelValue(at.Child("value"), t.Value)...)
		errs = append(errs, validateEnum(at.Child("effect"), t.Effect, TaintNoSchedule, TaintNoExecute)...)
		if id := t.Key + ":" + string(t.Effect); seen[id] {
			errs = append(errs, field.Duplicate(at, id))
		} else {
			seen[id] = true
		}
	}
	return errs
}

func validateSpreads(at *field.Path, p Placement) (errs field.ErrorList) {
	if len(p.SpreadConstraints) > maxSpreads {
		return field.ErrorList{field.TooMany(at, len(p.SpreadConstraints), maxSpreads)}
	}
	seen := map[string]bool{}
	for i, s := range p.SpreadConstraints {
		at := at.Index(i)
		errs = append(errs, validateLabelKey(at.Child("topologyKey"), s.TopologyKey)...)
		if seen[s.TopologyKey] {
			errs = append(errs, field.Duplicate(at.Child("topologyKey"), s.TopologyKey))
		}
		seen[s.TopologyKey] = true
		if s.MaxSkew < 1 {
			errs = append(errs, field.Invalid(at.Child("maxSkew"), s.MaxSkew, "must be 1 at least"))
		}
		errs = append(errs, validateMinDomains(at.Child("minDomains"), s.MinDomains, p.NumberOfClusters)...)
		errs = append(errs, validateEnum(at.Child("whenUnsatisfiable"), s.WhenUnsatisfiable, DoNotPlace, ScheduleAnyway)...)
	}
	return errs
}

func validateMinDomains(at *field.Path, domains int32, n *int32) field.ErrorList {
	switch {
	case domains < 0:
		return field.ErrorList{field.Invalid(at, domains, "must be 1 at least, or left out")}
	case n != nil && domains > *n:
		return field.ErrorList{field.Invalid(at, domains, fmt.Sprintf("%d clusters cannot be in %d places: numberOfClusters must be as many at least", *n, domains))}
	}
	return nil
}

func validateLabelKey(at *field.Path, key string) (errs field.ErrorList) {
	if key == "" {
		return field.ErrorList{field.Required(at, "")}
	}
	for _, problem := range validation.IsQualifiedName(key) {
		errs = append(errs, field.Invalid(at, key, problem))
	}
	return errs
}

func validateLabelValue(at *field.Path, value string) (errs field.ErrorList) {
	for _, problem := range validation.IsValidLabelValue(value) {
		errs = append(errs, field.Invalid(at, value, problem))
	}
	return errs
}
