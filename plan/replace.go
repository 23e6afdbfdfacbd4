package plan

import (
	"cmp"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
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
	said := behindValue(c.Message)
	return slices.ContainsFunc([]string{
		"immutable",
		"may not change",        // a Service's clusterIP, a Pod's spec
		"may not be changed in", // a PriorityClass
		"cannot change roleRef", // a RoleBinding
		"updates to statefulset spec for fields other than",
		"updates to provisioner are forbidden", // a StorageClass
		"updates to parameters are forbidden",
	}, func(words string) bool { return strings.Contains(said, words) })
}

// behindValue is what a cause says, without the value that it repeats: whoever wrote that may have used the same words.
func behindValue(message string) string {
	_, rest, found := strings.Cut(message, " value: ")
	if !found {
		return message
	}
	if said, whole := strings.CutPrefix(rest[valueLen(rest):], ":"); whole {
		return said
	}
	return rest[strings.LastIndex(rest, ": ")+1:] // the value is as Go prints it, and ends nobody knows where
}

// valueLen is how much of a text is one value at its start, quoted or of JSON; what is longer than that may begin like one.
func valueLen(text string) int {
	if quoted, err := strconv.QuotedPrefix(text); err == nil {
		return len(quoted)
	}
	value := json.NewDecoder(strings.NewReader(text))
	if err := value.Decode(new(any)); err != nil {
		return 0
	}
	return int(value.InputOffset())
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
	return cmp.Or(irreplaceable(manifest), irreplaceable(live), newAddress(manifest, live))
}

// newAddress says that a Service asks for an address that it does not have: whether another one has it, no dry run tells.
func newAddress(manifest, live *unstructured.Unstructured) string {
	if !isService(manifest) {
		return ""
	}
	has := addresses(live)
	for _, wanted := range addresses(manifest) {
		if !slices.Contains(has, wanted) {
			return "its address is to be " + wanted + ", which another Service may have: no dry run tells"
		}
	}
	return ""
}

func isService(o *unstructured.Unstructured) bool {
	return o.GroupVersionKind().GroupKind() == schema.GroupKind{Kind: "Service"}
}

// addresses are those that a Service fixes.
func addresses(service *unstructured.Unstructured) []string {
	one, _, _ := unstructured.NestedString(service.Object, "spec", "clusterIP")
	all, _, _ := unstructured.NestedStringSlice(service.Object, "spec", "clusterIPs")
	return slices.DeleteFunc(append(all, one), func(ip string) bool { return ip == "" || ip == noAddress })
}

// noAddress is the clusterIP of a Service that is to have none.
const noAddress = "None"

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

// Trial is a manifest of another name, so that a dry run of making it finds out whether its cluster takes it, though an object of its
// name is there. What the live object holds of that no two may hold, a Service its addresses and ports, is left out.
func Trial(manifest, live *unstructured.Unstructured) *unstructured.Unstructured {
	trial := manifest.DeepCopy()
	trial.SetGenerateName(manifest.GetName() + "-")
	trial.SetName("")
	if spec, ok := trial.Object["spec"].(map[string]any); ok && isService(trial) {
		letGo(spec, live)
	}
	return trial
}

// letGo takes out of a Service's spec what the live one holds.
func letGo(spec map[string]any, live *unstructured.Unstructured) {
	if spec["clusterIP"] != noAddress { // others than the live one's are not tried: see newAddress
		delete(spec, "clusterIP")
		delete(spec, "clusterIPs")
	}
	held, _, _ := unstructured.NestedMap(live.Object, "spec")
	had := ports(held)
	for _, port := range ports(spec) {
		if slices.ContainsFunc(had, func(h map[string]any) bool { return number(h["nodePort"]) == number(port["nodePort"]) }) {
			delete(port, "nodePort")
		}
	}
	if number(spec["healthCheckNodePort"]) == number(held["healthCheckNodePort"]) {
		delete(spec, "healthCheckNodePort")
	}
}

func ports(spec map[string]any) (all []map[string]any) {
	list, _ := spec["ports"].([]any)
	for _, item := range list {
		if port, ok := item.(map[string]any); ok {
			all = append(all, port)
		}
	}
	return all
}

// number is one of YAML or JSON; 0 when it is none.
func number(value any) int64 {
	switch n := value.(type) {
	case int64:
		return n
	case float64:
		return int64(n)
	}
	return 0
}
