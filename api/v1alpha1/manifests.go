package v1alpha1

import (
	stdjson "encoding/json"
	"fmt"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/validate/content"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// MaxManifestBytes is how many bytes the manifests of one bundle may have together, as compact JSON.
const MaxManifestBytes = 12 << 20

// maxManifestErrors bounds how many faults of manifests are told at once.
const maxManifestErrors = 20

// manifestHead is the part of a manifest that names the object.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type manifestHead struct {
	APIVersion string              `json:"apiVersion"`
	Kind       string              `json:"kind"`
	Metadata   manifestName        `json:"metadata"`
	Items      *stdjson.RawMessage `json:"items"`
}

// manifestName is the part of a manifest's metadata that names the object.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type manifestName struct {
	Name         string `json:"name"`
	GenerateName string `json:"generateName"`
	Namespace    string `json:"namespace"`
	// Annotations may be anything: most are for the cluster to judge.
	Annotations map[string]any `json:"annotations"`
}

// objectKey tells the objects of a bundle apart: two versions of one kind are the same object.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type objectKey struct{ group, kind, namespace, name string }

func (k objectKey) String() string {
	name := k.name
	if k.namespace != "" {
		name = k.namespace + "/" + name
	}
	return fmt.Sprintf("%s %s", schema.GroupKind{Group: k.group, Kind: k.kind}, name)
}

// CanonicalizeManifests writes every manifest and patch as compact JSON with sorted keys, so that a manifest that says the
// same in another layout is no change. What is no JSON object is left as it is, for validation to refuse.
func (c *BundleContent) CanonicalizeManifests() {
	for i := range c.Manifests {
		canonicalize(&c.Manifests[i])
	}
	for _, o := range c.Overrides {
		for i := range o.Patches {
			for _, raw := range o.Patches[i].Documents() {
				canonicalize(raw)
			}
		}
	}
}

func canonicalize(m *runtime.RawExtension) {
	var object map[string]any
	if json.Unmarshal(m.Raw, &object) != nil || object == nil {
		return
	}
	if raw, err := json.Marshal(object); err == nil {
		*m = runtime.RawExtension{Raw: raw}
	}
}

// OrderOf reads the value of AnnotationOrder; none is 0.
func OrderOf(text string) (int, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < -maxOrder || n > maxOrder {
		return 0, fmt.Errorf("must be a whole number from %d to %d", -maxOrder, maxOrder)
	}
	return n, nil
}

const maxOrder = 1000

// PlainSecret says whether an object is a Secret with something in it, whatever the type of that.
func PlainSecret(object map[string]any) bool {
	if object["kind"] != "Secret" || object["apiVersion"] != "v1" {
		return false
	}
	return filled(object["data"]) || filled(object["stringData"])
}

func filled(value any) bool {
	switch v := value.(type) {
	case nil:
		return false
	case map[string]any:
		return len(v) > 0
	}
	return true
}

func validateManifests(at *field.Path, c BundleContent) field.ErrorList {
	var size int
	for _, m := range c.Manifests {
		size += len(m.Raw)
	}
	if size > MaxManifestBytes {
		return field.ErrorList{field.Forbidden(at, fmt.Sprintf("%d bytes of manifests are more than the limit of %d (%d MiB); split the bundle", size, MaxManifestBytes, MaxManifestBytes>>20))}
	}
	var errs field.ErrorList
	first := map[objectKey]int{}
	for i, m := range c.Manifests {
		if len(errs) >= maxManifestErrors {
			return append(errs, field.Forbidden(at, "has too many faults; the rest was not checked"))
		}
		key, faults := validateManifest(at.Index(i), m.Raw)
		if key.kind == "Secret" && c.PlainSecrets != PlainSecretsAllow {
			faults = append(faults, refusePlain(at.Index(i), m.Raw)...)
		}
		errs = append(errs, faults...)
		if earlier, twice := first[key]; twice && len(faults) == 0 {
			errs = append(errs, field.Invalid(at.Index(i), key.String(), fmt.Sprintf("is also manifests[%d]: one bundle holds an object once", earlier)))
			continue
		}
		first[key] = i
	}
	return errs
}

// refusePlain refuses a Secret that could be read in the log.
func refusePlain(at *field.Path, raw []byte) field.ErrorList {
	var object map[string]any
	if json.Unmarshal(raw, &object) != nil || !PlainSecret(object) {
		return nil
	}
	return field.ErrorList{field.Forbidden(at, "the Secret would be readable in the log of every member; if that is meant: spec.plainSecrets: Allow")}
}

// validateManifest checks that a manifest is one whole object with a name.
func validateManifest(at *field.Path, raw []byte) (objectKey, field.ErrorList) {
	var head manifestHead
	if len(raw) == 0 {
		return objectKey{}, field.ErrorList{field.Required(at, "must be an object")}
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		return objectKey{}, field.ErrorList{field.TypeInvalid(at, "", "must be a Kubernetes object: "+err.Error())}
	}
	gv, errs := validateType(at, head)
	errs = append(errs, validateObjectName(at.Child("metadata"), head)...)
	return objectKey{gv.Group, head.Kind, head.Metadata.Namespace, head.Metadata.Name}, errs
}

func validateType(at *field.Path, head manifestHead) (schema.GroupVersion, field.ErrorList) {
	var errs field.ErrorList
	gv, err := schema.ParseGroupVersion(head.APIVersion)
	switch {
	case head.APIVersion == "":
		errs = append(errs, field.Required(at.Child("apiVersion"), ""))
	case err != nil:
		errs = append(errs, field.Invalid(at.Child("apiVersion"), head.APIVersion, err.Error()))
	case gv.Group == GroupName:
		errs = append(errs, field.Forbidden(at.Child("apiVersion"), "objects of group "+GroupName+" belong to the fleet, not in a bundle"))
	}
	switch {
	case head.Kind == "":
		errs = append(errs, field.Required(at.Child("kind"), ""))
	case head.Kind == "List", strings.HasSuffix(head.Kind, "List") && head.Items != nil:
		errs = append(errs, field.Invalid(at.Child("kind"), head.Kind, "is a list; give each of its items as a manifest of its own"))
	}
	return gv, errs
}

func validateObjectName(at *field.Path, head manifestHead) field.ErrorList {
	meta := head.Metadata
	var errs field.ErrorList
	if meta.GenerateName != "" {
		errs = append(errs, field.Forbidden(at.Child("generateName"), "a bundle's objects have fixed names"))
	} else if meta.Name == "" {
		errs = append(errs, field.Required(at.Child("name"), ""))
	}
	for _, problem := range content.IsPathSegmentName(meta.Name) {
		errs = append(errs, field.Invalid(at.Child("name"), meta.Name, problem))
	}
	if meta.Namespace != "" {
		errs = append(errs, validateLabelName(at.Child("namespace"), meta.Namespace)...)
	}
	if text, there := meta.Annotations[AnnotationOrder]; there {
		if _, err := OrderOf(fmt.Sprint(text)); err != nil {
			errs = append(errs, field.Invalid(at.Child("annotations").Key(AnnotationOrder), text, err.Error()))
		}
	}
	if text, there := meta.Annotations[AnnotationReplace]; there && text != ReplaceWhenImmutable {
		errs = append(errs, field.NotSupported(at.Child("annotations").Key(AnnotationReplace), text, []string{ReplaceWhenImmutable}))
	}
	return errs
}
