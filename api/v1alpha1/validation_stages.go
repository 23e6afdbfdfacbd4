package v1alpha1

import (
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Bounds of the stages of a rollout: each rollout keeps them, and an entry of the log has its bound.
const (
	maxStages       = 32
	maxStageDomains = 256
)

func validateStages(at *field.Path, stages []RolloutStage, gates map[string]bool) (errs field.ErrorList) {
	if len(stages) > maxStages {
		return field.ErrorList{field.TooMany(at, len(stages), maxStages)}
	}
	seen := map[string]bool{StageOthers: true}
	for i, s := range stages {
		at := at.Index(i)
		errs = append(errs, validateLabelName(at.Child("name"), s.Name)...)
		if seen[s.Name] {
			errs = append(errs, field.Duplicate(at.Child("name"), s.Name))
		}
		seen[s.Name] = true
		errs = append(errs, validateChosen(at, nil, s.ClusterSelector)...)
		errs = append(errs, validateStageDomains(at.Child("domains"), s.Domains)...)
		errs = append(errs, validateSoak(at.Child("soak"), s.Soak)...)
		errs = append(errs, validateWindows(at.Child("windows"), s.Windows)...)
		errs = append(errs, validateGates(at.Child("gates"), s.Gates, gates)...)
		if s.Approval != "" {
			errs = append(errs, validateEnum(at.Child("approval"), s.Approval, StageApprovalNever, StageApprovalRequired)...)
		}
	}
	return errs
}

func validateStageDomains(at *field.Path, domains []string) (errs field.ErrorList) {
	if len(domains) > maxStageDomains {
		return field.ErrorList{field.TooMany(at, len(domains), maxStageDomains)}
	}
	seen := map[string]bool{}
	for i, d := range domains {
		if problems := validation.IsValidLabelValue(d); len(problems) > 0 {
			errs = append(errs, field.Invalid(at.Index(i), d, strings.Join(problems, "; ")))
		}
		if seen[d] {
			errs = append(errs, field.Duplicate(at.Index(i), d))
		}
		seen[d] = true
	}
	return errs
}
