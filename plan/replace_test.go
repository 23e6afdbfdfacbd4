package plan_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"

	"github.com/hanse-fleet/hanse/plan"
)

func TestWhatNobodyMayChangeIsKnownByItsWords(t *testing.T) {
	refused := func(errs ...*field.Error) error { return apierrors.NewInvalid(schema.GroupKind{Kind: "X"}, "x", errs) }
	at := field.NewPath("spec")
	template := field.Invalid(at.Child("template"), "{}", "field is immutable")
	wrong := field.Invalid(at.Child("template", "spec"), "{}", "must be right")
	for name, c := range map[string]struct {
		err    error
		fields []string
		only   bool
	}{
		"a Job's template":              {refused(template), []string{"spec.template"}, true},
		"named once":                    {refused(template, template), []string{"spec.template"}, true},
		"and a fault":                   {refused(template, wrong), []string{"spec.template"}, false},
		"a fault alone":                 {refused(wrong), nil, false},
		"a StatefulSet":                 {refused(field.Forbidden(at, "updates to statefulset spec for fields other than 'replicas', 'template' are forbidden")), []string{"spec"}, true},
		"a Service's address":           {refused(field.Invalid(at.Child("clusterIPs").Index(0), "10.0.0.9", "may not change once set")), []string{"spec.clusterIPs[0]"}, true},
		"a RoleBinding":                 {refused(field.Invalid(field.NewPath("roleRef"), "{}", "cannot change roleRef")), []string{"roleRef"}, true},
		"a StorageClass":                {refused(field.Forbidden(field.NewPath("parameters"), "updates to parameters are forbidden.")), []string{"parameters"}, true},
		"a PriorityClass":               {refused(field.Forbidden(field.NewPath("value"), "may not be changed in an update.")), []string{"value"}, true},
		"another kind of error":         {apierrors.NewForbidden(schema.GroupResource{}, "x", nil), nil, false},
		"what a webhook says of itself": {apierrors.NewBadRequest("everything is immutable here"), nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			fields, only := plan.Immutable(c.err)
			if diff := cmp.Diff(c.fields, fields); diff != "" || only != c.only {
				t.Errorf("only %v; %s", only, diff)
			}
		})
	}
}

func TestWhatATrialMeetsOfTheObjectItselfIsNoFault(t *testing.T) {
	held := field.Invalid(field.NewPath("spec", "ports").Index(0).Child("nodePort"), 30080, "provided port is already allocated")
	wrong := field.Invalid(field.NewPath("spec", "type"), "x", "must be right")
	service := schema.GroupKind{Kind: "Service"}
	for err, want := range map[error]bool{
		apierrors.NewInvalid(service, "x", field.ErrorList{held}):                                  true,
		apierrors.NewInvalid(service, "x", field.ErrorList{held, wrong}):                           false,
		apierrors.NewInvalid(service, "x", field.ErrorList{wrong}):                                 false,
		apierrors.NewForbidden(schema.GroupResource{}, "x", errors.New("it is already allocated")): false,
		nil: false,
	} {
		if got := plan.HeldByItself(err); got != want {
			t.Errorf("%v: %v", err, got)
		}
	}
}

func TestWhatTakesDataIsNotReplaced(t *testing.T) {
	for manifest, want := range map[string]string{
		`{apiVersion: v1, kind: Namespace, metadata: {name: x}}`:                                                                                                 "what is in it",
		`{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: x}}`:                                                                                     "what is in it",
		`{apiVersion: v1, kind: PersistentVolume, metadata: {name: x}}`:                                                                                          "what is in it",
		`{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: x}}`:                                                             "what is in it",
		`{apiVersion: snapshot.storage.k8s.io/v1, kind: VolumeSnapshot, metadata: {name: x}}`:                                                                    "what is in it",
		`{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: x}, spec: {persistentVolumeClaimRetentionPolicy: {whenDeleted: Delete, whenScaled: Retain}}}`: "PersistentVolumeClaims",
		`{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: x}, spec: {persistentVolumeClaimRetentionPolicy: {whenDeleted: Retain, whenScaled: Delete}}}`: "",
		`{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: x}}`:                                                                                          "",
		`{apiVersion: batch/v1, kind: Job, metadata: {name: x}}`:                                                                                                 "",
		`{apiVersion: test.example/v1, kind: PersistentVolumeClaim, metadata: {name: x}}`:                                                                        "",
	} {
		var o unstructured.Unstructured
		if err := yaml.Unmarshal([]byte(manifest), &o.Object); err != nil {
			t.Fatal(err)
		}
		immutable := apierrors.NewInvalid(schema.GroupKind{}, "x", field.ErrorList{field.Invalid(field.NewPath("spec"), "{}", "field is immutable")})
		if got := plan.WhyKept(&o, &o, immutable); (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q", manifest, got)
		}
		if plan.WhyKept(&o, &o, apierrors.NewInvalid(schema.GroupKind{}, "x", nil)) == "" {
			t.Errorf("%s would be replaced though it is refused for something else", manifest)
		}
	}
}
