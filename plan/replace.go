package plan

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// Immutable are the fields that nobody may change, of those that a cluster refused a change of an object for; only says that it
// was refused for nothing else. The API has no word of its own for that.
func Immutable(err error) (fields []string, only bool) {
	causes := causesOf(err)
	for _, c := range causes {
		if saysImmutable(c) && !slices.Contains(fields, c.Field) {
			fields = append(fields, c.Field)
		}
	}
	return fields, len(fields) > 0 && all(causes, saysImmutable)
}

// causesOf are what a cluster found wrong in an object.
func causesOf(err error) []metav1.StatusCause {
	var status apierrors.APIStatus
	if !apierrors.IsInvalid(err) || !errors.As(err, &status) || status.Status().Details == nil {
		return nil
	}
	return status.Status().Details.Causes
}

func all(causes []metav1.StatusCause, are func(metav1.StatusCause) bool) bool {
	return !slices.ContainsFunc(causes, func(c metav1.StatusCause) bool { return !are(c) })
}

// saysImmutable knows the words of the kinds that Kubernetes has, and the one that definitions of others use.
func saysImmutable(c metav1.StatusCause) bool {
	return slices.ContainsFunc([]string{
		"immutable",
		"may not change",        // a Service's clusterIP, a Pod's spec
		"may not be changed in", // a PriorityClass
		"cannot change roleRef", // a RoleBinding
		"updates to statefulset spec for fields other than",
		"updates to provisioner are forbidden", // a StorageClass
		"updates to parameters are forbidden",
	}, func(words string) bool { return strings.Contains(c.Message, words) })
}

// Replaces says that an object may be deleted and made anew where its cluster does not let it be changed: its manifest says so.
func Replaces(manifest *unstructured.Unstructured) bool {
	return manifest.GetAnnotations()[v1alpha1.AnnotationReplace] == v1alpha1.ReplaceWhenImmutable
}

// WhyKept says why an object that its cluster does not let be changed is not deleted to be made anew; "" when it may be, where its
// manifest says so. refused is what the cluster said.
func WhyKept(manifest, live *unstructured.Unstructured, refused error) string {
	if _, only := Immutable(refused); !only {
		return "it would be refused anew for the rest"
	}
	return cmp.Or(irreplaceable(manifest), irreplaceable(live))
}

// irreplaceable says what would go with an object, "" when nothing does.
func irreplaceable(o *unstructured.Unstructured) string {
	gk := o.GroupVersionKind().GroupKind()
	switch {
	case precious(Ref(*o)), gk == schema.GroupKind{Kind: "PersistentVolume"}, gk.Group == "snapshot.storage.k8s.io":
		return "deleting a " + gk.Kind + " takes what is in it"
	case gk == schema.GroupKind{Group: "apps", Kind: "StatefulSet"}:
		if then, _, _ := unstructured.NestedString(o.Object, "spec", "persistentVolumeClaimRetentionPolicy", "whenDeleted"); then == "Delete" {
			return "deleting it takes its PersistentVolumeClaims: its persistentVolumeClaimRetentionPolicy.whenDeleted is Delete"
		}
	}
	return ""
}

// Rename gives a manifest another name, so that a dry run of making it finds out whether its cluster takes it, though an object of its name
// is there.
func Rename(manifest *unstructured.Unstructured) {
	manifest.SetGenerateName(manifest.GetName() + "-")
	manifest.SetName("")
}

// HeldByItself says that such a dry run met nothing but what the object itself holds, such as a Service its port.
func HeldByItself(err error) bool {
	causes := causesOf(err)
	return len(causes) > 0 && all(causes, func(c metav1.StatusCause) bool { return strings.Contains(c.Message, "already allocated") })
}
