package plan_test

import (
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
	saying := func(message string) error { // as clusters of other versions do
		err := apierrors.NewInvalid(schema.GroupKind{Kind: "X"}, "x", field.ErrorList{field.Invalid(at.Child("x"), "", "")})
		err.ErrStatus.Details.Causes[0].Message = message
		return err
	}
	template := field.Invalid(at.Child("template"), "{}", "field is immutable")
	wrong := field.Invalid(at.Child("template", "spec"), "{}", "must be right")
	for name, c := range map[string]struct {
		err    error
		fields []string
		only   bool
	}{
		"a Job's template":                 {refused(template), []string{"spec.template"}, true},
		"words of the value":               {refused(field.Invalid(at.Child("x"), "this is immutable", "must be right")), nil, false},
		"words of a value of many":         {refused(field.Invalid(at.Child("x"), map[string]any{"a": "is immutable: see above"}, "must be right")), nil, false},
		"words of a list":                  {refused(field.Invalid(at.Child("x"), []string{"immutable: yes", "may not change"}, "must be right")), nil, false},
		"a word of a list as Go prints it": {saying(`Invalid value: []string{"immutable"}: must be right`), nil, false},
		"behind a list as Go prints it":    {saying(`Invalid value: []string{"a"}: field is immutable`), []string{"spec.x"}, true},
		"a word behind a quoted one":       {saying(`Invalid value: "a"+" is immutable": must be right`), nil, false},
		"words of a value of Go":           {refused(field.Invalid(at.Child("x"), struct{ A, B string }{"immutable: yes", "x"}, "must be right")), nil, false},
		"behind a value of Go":             {refused(field.Invalid(at.Child("x"), struct{ A, B any }{"a: b", make(chan int)}, "field is immutable")), []string{"spec.x"}, true},
		"behind a list":                    {refused(field.Invalid(at.Child("x"), []string{"a: b"}, "field is immutable")), []string{"spec.x"}, true},
		"behind a number":                  {refused(field.Invalid(at.Child("x"), 7, "field is immutable")), []string{"spec.x"}, true},
		"what is not supported":            {refused(field.NotSupported(at.Child("x"), "immutable", []string{"a"})), nil, false},
		"named once":                       {refused(template, template), []string{"spec.template"}, true},
		"and a fault":                      {refused(template, wrong), []string{"spec.template"}, false},
		"a fault alone":                    {refused(wrong), nil, false},
		"a StatefulSet":                    {refused(field.Forbidden(at, "updates to statefulset spec for fields other than 'replicas', 'template' are forbidden")), []string{"spec"}, true},
		"a Service's address":              {refused(field.Invalid(at.Child("clusterIPs").Index(0), "10.0.0.9", "may not change once set")), []string{"spec.clusterIPs[0]"}, true},
		"a RoleBinding":                    {refused(field.Invalid(field.NewPath("roleRef"), "{}", "cannot change roleRef")), []string{"roleRef"}, true},
		"a StorageClass":                   {refused(field.Forbidden(field.NewPath("parameters"), "updates to parameters are forbidden.")), []string{"parameters"}, true},
		"a PriorityClass":                  {refused(field.Forbidden(field.NewPath("value"), "may not be changed in an update.")), []string{"value"}, true},
		"another kind of error":            {apierrors.NewForbidden(schema.GroupResource{}, "x", nil), nil, false},
		"what a webhook says of itself":    {apierrors.NewBadRequest("everything is immutable here"), nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			fields, only := plan.Immutable(c.err)
			if diff := cmp.Diff(c.fields, fields); diff != "" || only != c.only {
				t.Errorf("only %v; %s", only, diff)
			}
		})
	}
}

func TestATrialLeavesOutWhatTheObjectItselfHolds(t *testing.T) {
	const live = `{apiVersion: v1, kind: Service, metadata: {name: it}, spec: {clusterIP: 10.0.0.7, clusterIPs: [10.0.0.7], healthCheckNodePort: 30009, ports: [{port: 80, nodePort: 30080}, {port: 81, nodePort: 30081}]}}`
	for name, c := range map[string]struct{ manifest, want string }{
		"its address and ports": {
			`{apiVersion: v1, kind: Service, metadata: {name: it}, spec: {clusterIP: 10.0.0.7, clusterIPs: [10.0.0.7], healthCheckNodePort: 30009, ports: [{port: 1, nodePort: 30081}]}}`,
			`{apiVersion: v1, kind: Service, metadata: {generateName: it-}, spec: {ports: [{port: 1}]}}`,
		},
		"no port of another": {
			`{apiVersion: v1, kind: Service, metadata: {name: it}, spec: {healthCheckNodePort: 30010, ports: [{port: 80, nodePort: 30082}, {port: 81}]}}`,
			`{apiVersion: v1, kind: Service, metadata: {generateName: it-}, spec: {healthCheckNodePort: 30010, ports: [{port: 80, nodePort: 30082}, {port: 81}]}}`,
		},
		"no address that it is to have none of": {
			`{apiVersion: v1, kind: Service, metadata: {name: it}, spec: {clusterIP: None, clusterIPs: [None]}}`,
			`{apiVersion: v1, kind: Service, metadata: {generateName: it-}, spec: {clusterIP: None, clusterIPs: [None]}}`,
		},
		"nothing of another kind": {
			`{apiVersion: test.example/v1, kind: Service, metadata: {name: it}, spec: {clusterIP: 10.0.0.7}}`,
			`{apiVersion: test.example/v1, kind: Service, metadata: {generateName: it-}, spec: {clusterIP: 10.0.0.7}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			manifest := read(t, c.manifest)
			got := plan.Trial(manifest, read(t, live))
			if diff := cmp.Diff(read(t, c.want).Object, got.Object); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(read(t, c.manifest).Object, manifest.Object); diff != "" {
				t.Errorf("the manifest itself was changed: %s", diff)
			}
		})
	}
}

func read(t *testing.T, manifest string) *unstructured.Unstructured {
	t.Helper()
	o := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(manifest), &o.Object); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestAServiceIsNotReplacedForAnAddressThatItDoesNotHave(t *testing.T) {
	immutable := apierrors.NewInvalid(schema.GroupKind{}, "x", field.ErrorList{field.Invalid(field.NewPath("spec"), "{}", "field is immutable")})
	const kind = "{apiVersion: v1, kind: Service, metadata: {name: it}, spec: "
	for name, c := range map[string]struct {
		wanted, live string
		kept         bool
	}{
		"the same":                {"{clusterIP: 10.0.0.7}", "{clusterIP: 10.0.0.7, clusterIPs: [10.0.0.7]}", false},
		"the same two":            {"{clusterIP: 10.0.0.7, clusterIPs: [10.0.0.7, 'fd00::7']}", "{clusterIP: 10.0.0.7, clusterIPs: [10.0.0.7, 'fd00::7']}", false},
		"none said":               {"{}", "{clusterIP: 10.0.0.7, clusterIPs: [10.0.0.7]}", false},
		"none said, as text":      {"{clusterIP: ''}", "{clusterIP: 10.0.0.7, clusterIPs: [10.0.0.7]}", false},
		"to have none":            {"{clusterIP: None}", "{clusterIP: 10.0.0.7, clusterIPs: [10.0.0.7]}", false},
		"another":                 {"{clusterIP: 10.0.0.8}", "{clusterIP: 10.0.0.7, clusterIPs: [10.0.0.7]}", true},
		"one where there is none": {"{clusterIP: 10.0.0.8}", "{clusterIP: None, clusterIPs: [None]}", true},
		"another second one":      {"{clusterIPs: [10.0.0.7, 'fd00::8']}", "{clusterIP: 10.0.0.7, clusterIPs: [10.0.0.7, 'fd00::7']}", true},
	} {
		t.Run(name, func(t *testing.T) {
			if why := plan.WhyKept(read(t, kind+c.wanted+"}"), read(t, kind+c.live+"}"), immutable); (why != "") != c.kept {
				t.Errorf("kept: %q", why)
			}
		})
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
