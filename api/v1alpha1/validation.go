package v1alpha1

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

var (
	pathName = field.NewPath("metadata", "name")
	pathSpec = field.NewPath("spec")
)

// ValidateFleet checks the settings object of the fleet of that name.
func ValidateFleet(f *Fleet, fleet string) field.ErrorList {
	var errs field.ErrorList
	if f.Name != fleet {
		errs = append(errs, field.Invalid(pathName, f.Name, "must be the name of the fleet, "+fleet))
	}
	if !slices.Contains([]int32{1, 3, 5, 7}, f.Spec.Voters) {
		errs = append(errs, field.NotSupported(pathSpec.Child("voters"), f.Spec.Voters, []string{"1", "3", "5", "7"}))
	}
	if p := f.Spec.Leader; p != nil && (p.Cluster == "") == (p.Region == "") {
		errs = append(errs, field.Invalid(pathSpec.Child("leader"), p, "must be either a cluster or a region"))
	}
	errs = append(errs, validateHistory(pathSpec.Child("history"), f.Spec.History)...)
	errs = append(errs, validateRecovery(f.Spec.RecoveryRecipients)...)
	errs = append(errs, validateFleetRollout(pathSpec.Child("rollout"), f.Spec.Rollout)...)
	return append(errs, validateBackup(pathSpec.Child("backup"), f.Spec.Backup)...)
}

func validateHistory(path *field.Path, h *HistorySpec) (errs field.ErrorList) {
	if h == nil {
		return nil
	}
	if h.Keep < 0 || h.Keep > MaxHistoryKeep {
		errs = append(errs, field.Invalid(path.Child("keep"), h.Keep, fmt.Sprintf("must be 1 to %d, or left out", MaxHistoryKeep)))
	}
	if h.For.Duration != 0 && h.For.Duration < time.Hour {
		errs = append(errs, field.Invalid(path.Child("for"), h.For.Duration.String(), "must be one hour at least"))
	}
	return errs
}

// ValidateCluster checks a cluster with its defaults filled in.
func ValidateCluster(c *Cluster) field.ErrorList {
	errs := validateLabelName(pathName, c.Name)
	errs = append(errs, validateLabelName(pathSpec.Child("region"), c.Spec.Region)...)
	if c.Spec.Zone != "" {
		errs = append(errs, validateLabelName(pathSpec.Child("zone"), c.Spec.Zone)...)
	}
	errs = append(errs, validateEnum(pathSpec.Child("voting"), c.Spec.Voting, VotingEligible, VotingNever)...)
	errs = append(errs, validateEnum(pathSpec.Child("rights"), c.Spec.Rights, RightsAdmin, RightsOwnObjects, RightsReadOnly)...)
	if c.Spec.Availability != "" {
		errs = append(errs, validateEnum(pathSpec.Child("availability"), c.Spec.Availability, AvailabilityActive, AvailabilityCordoned, AvailabilityDrained)...)
	}
	errs = append(errs, validateCost(field.NewPath("metadata", "labels").Key(LabelCost), c.Labels)...)
	return append(errs, validateTaints(pathSpec.Child("taints"), c.Spec.Taints)...)
}

// ValidateUser checks a user.
func ValidateUser(u *User) field.ErrorList {
	var errs field.ErrorList
	for _, problem := range validation.IsDNS1123Subdomain(u.Name) {
		errs = append(errs, field.Invalid(pathName, u.Name, problem))
	}
	if !isPin(u.Spec.Pin) {
		errs = append(errs, field.Invalid(pathSpec.Child("pin"), u.Spec.Pin, "must be 64 lower-case hex digits: the SHA-256 of the certificate's public key"))
	}
	return append(errs, validateEnum(pathSpec.Child("role"), u.Spec.Role, RoleAdmin, RoleOperator, RoleViewer)...)
}

// ValidateBundle checks a bundle with its defaults filled in.
func ValidateBundle(b *Bundle) field.ErrorList {
	errs := validateLabelName(pathName, b.Name)
	errs = append(errs, validatePlacement(pathSpec.Child("placement"), b.Spec.Placement)...)
	errs = append(errs, validateBundleRollout(pathSpec.Child("rollout"), b.Spec.Rollout)...)
	errs = append(errs, validateEnum(pathSpec.Child("drift"), b.Spec.Drift, DriftCorrect, DriftReport)...)
	errs = append(errs, validateEnum(pathSpec.Child("deletion"), b.Spec.Deletion, DeletionPrune, DeletionOrphan)...)
	errs = append(errs, validateEnum(pathSpec.Child("adopt"), b.Spec.Adopt, AdoptNever, AdoptIfEqual, AdoptAlways)...)
	errs = append(errs, validateDependsOn(pathSpec.Child("dependsOn"), b)...)
	if text, there := b.Annotations[AnnotationCorrect]; there {
		errs = append(errs, validateCorrection(field.NewPath("metadata", "annotations").Key(AnnotationCorrect), text)...)
	}
	errs = append(errs, validateIgnore(pathSpec.Child("ignore"), b.Spec.Ignore)...)
	if b.Spec.PlainSecrets != "" {
		errs = append(errs, validateEnum(pathSpec.Child("plainSecrets"), b.Spec.PlainSecrets, PlainSecretsAllow)...)
	}
	errs = append(errs, validateOverrides(pathSpec.Child("overrides"), b.Spec.Overrides)...)
	errs = append(errs, validateDivision(pathSpec.Child("division"), b.Spec.Division)...)
	return append(errs, validateManifests(pathSpec.Child("manifests"), b.Spec.BundleContent)...)
}

// maxDependsOn is how many bundles one may depend on.
const maxDependsOn = 32

func validateDependsOn(at *field.Path, b *Bundle) field.ErrorList {
	if n := len(b.Spec.DependsOn); n > maxDependsOn {
		return field.ErrorList{field.TooMany(at, n, maxDependsOn)}
	}
	var errs field.ErrorList
	for i, name := range b.Spec.DependsOn {
		errs = append(errs, validateLabelName(at.Index(i), name)...)
		if name == b.Name {
			errs = append(errs, field.Invalid(at.Index(i), name, "a bundle does not depend on itself"))
		}
		if slices.Contains(b.Spec.DependsOn[:i], name) {
			errs = append(errs, field.Duplicate(at.Index(i), name))
		}
	}
	return errs
}

// validateLabelName asks for a DNS-1123 label: short enough for label values, and without the dot that separates
// the names in a Work's.
func validateLabelName(at *field.Path, name string) field.ErrorList {
	if name == "" {
		return field.ErrorList{field.Required(at, "")}
	}
	var errs field.ErrorList
	for _, problem := range validation.IsDNS1123Label(name) {
		errs = append(errs, field.Invalid(at, name, problem))
	}
	return errs
}

func validateEnum[T ~string](at *field.Path, value T, allowed ...T) field.ErrorList {
	if value == "" {
		return field.ErrorList{field.Required(at, "")}
	}
	if slices.Contains(allowed, value) {
		return nil
	}
	return field.ErrorList{field.NotSupported(at, value, allowed)}
}

func isPin(s string) bool {
	return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == ""
}
