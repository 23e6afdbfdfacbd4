package v1alpha1

import (
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Bounds of what a rollout is told.
const (
	maxDomainsAtOnce = 1000
	maxFreezeReason  = 256
)

// MinDeadline is the shortest time in which a wave may have to be healthy: it is above what a failure must last.
const MinDeadline = 10 * time.Second

// MaxSoak is how long a wave may soak, or take to be healthy, at most; MaxOwnSoak and MaxOwnDeadline are so for bundles that a member
// writes for itself alone: it must not keep a fault domain in change for ever.
const (
	MaxSoak        = 30 * 24 * time.Hour
	MaxOwnSoak     = 10 * time.Minute
	MaxOwnDeadline = time.Hour
)

func validateFleetRollout(at *field.Path, r *FleetRollout) (errs field.ErrorList) {
	if r == nil {
		return nil
	}
	errs = append(errs, validateDomainLabel(at.Child("domain"), r.Domain)...)
	errs = append(errs, validateSoak(at.Child("soak"), r.Soak)...)
	errs = append(errs, validateDeadline(at.Child("progressDeadline"), r.ProgressDeadline)...)
	if r.MaxDomains < 0 || r.MaxDomains > maxDomainsAtOnce {
		errs = append(errs, field.Invalid(at.Child("maxDomains"), r.MaxDomains, fmt.Sprintf("must be 1 to %d, or left out", maxDomainsAtOnce)))
	}
	errs = append(errs, validateOnFailure(at.Child("onFailure"), r.OnFailure)...)
	errs = append(errs, validateDeletionCap(at.Child("deletions"), r.Deletions)...)
	if r.WhileLost != "" {
		errs = append(errs, validateEnum(at.Child("whileLost"), r.WhileLost, WhileLostSurvivors, WhileLostFreeze)...)
	}
	errs = append(errs, validateEviction(at.Child("eviction"), r.Eviction)...)
	if r.Freeze != nil && (len(r.Freeze.Reason) > maxFreezeReason || strings.ContainsFunc(r.Freeze.Reason, unfit)) {
		errs = append(errs, field.Invalid(at.Child("freeze", "reason"), r.Freeze.Reason, fmt.Sprintf("must be one line of at most %d bytes", maxFreezeReason)))
	}
	return errs
}

func unfit(r rune) bool { return r < ' ' || r == 0x7f }

func validateBundleRollout(at *field.Path, r *BundleRollout) (errs field.ErrorList) {
	if r == nil {
		return nil
	}
	errs = append(errs, validateDomainLabel(at.Child("domain"), r.Domain)...)
	errs = append(errs, validateSoak(at.Child("soak"), r.Soak)...)
	errs = append(errs, validateDeadline(at.Child("progressDeadline"), r.ProgressDeadline)...)
	if r.MaxFailures < 0 {
		errs = append(errs, field.Invalid(at.Child("maxFailures"), r.MaxFailures, "must be 0 or more"))
	}
	errs = append(errs, validateOnFailure(at.Child("onFailure"), r.OnFailure)...)
	if r.Canary != nil {
		if n, err := CanaryOf(*r.Canary, 100); err != nil || n < 1 {
			errs = append(errs, field.Invalid(at.Child("canary"), r.Canary.String(), "must be a number from 1, or a share from 1% to 100%"))
		}
	}
	gates := map[string]bool{}
	errs = append(errs, validateGates(at.Child("gates"), r.Gates, gates)...)
	errs = append(errs, validateStages(at.Child("stages"), r.Stages, gates)...)
	errs = append(errs, validateWindows(at.Child("windows"), r.Windows)...)
	errs = append(errs, validateDeletionCap(at.Child("deletions"), r.Deletions)...)
	if r.Approval != "" {
		errs = append(errs, validateEnum(at.Child("approval"), r.Approval, ApprovalNever, ApprovalDomain)...)
	}
	return errs
}

func validateOnFailure(at *field.Path, f OnFailure) field.ErrorList {
	if f == "" {
		return nil
	}
	return validateEnum(at, f, OnFailurePause, OnFailureRollback)
}

func validateDeletionCap(at *field.Path, d *DeletionCap) (errs field.ErrorList) {
	if d == nil {
		return nil
	}
	return append(validateDeletionBound(at.Child("perCluster"), d.PerCluster), validateDeletionBound(at.Child("fleet"), d.Fleet)...)
}

func validateDeletionBound(at *field.Path, b *DeletionBound) (errs field.ErrorList) {
	if b == nil {
		return nil
	}
	if b.Objects != nil && *b.Objects < 0 {
		errs = append(errs, field.Invalid(at.Child("objects"), *b.Objects, "must be 0 or more"))
	}
	if b.Percent != nil && (*b.Percent < 0 || *b.Percent > 100) {
		errs = append(errs, field.Invalid(at.Child("percent"), *b.Percent, "must be 0 to 100"))
	}
	return errs
}

// CanaryOf is how many of so many clusters go first: all of them at most, and of a share never none.
func CanaryOf(canary intstr.IntOrString, clusters int) (int, error) {
	n, err := intstr.GetScaledValueFromIntOrPercent(&canary, clusters, true)
	if err != nil {
		return 0, fmt.Errorf("read canary: %w", err)
	}
	if canary.Type == intstr.String && n > clusters {
		return 0, fmt.Errorf("canary %s is more than all", canary.StrVal)
	}
	return min(n, clusters), nil
}

func validateDomainLabel(at *field.Path, label string) field.ErrorList {
	if label == "" {
		return nil
	}
	return validateLabelKey(at, label)
}

func validateSoak(at *field.Path, d *metav1.Duration) field.ErrorList {
	if d != nil && (d.Duration < 0 || d.Duration > MaxSoak) {
		return field.ErrorList{field.Invalid(at, d.Duration.String(), "must be from 0s to "+MaxSoak.String())}
	}
	return nil
}

func validateDeadline(at *field.Path, d *metav1.Duration) field.ErrorList {
	if d != nil && (d.Duration < MinDeadline || d.Duration > MaxSoak) {
		return field.ErrorList{field.Invalid(at, d.Duration.String(), fmt.Sprintf("must be from %s to %s", MinDeadline, MaxSoak))}
	}
	return nil
}
