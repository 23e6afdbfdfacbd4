package reconcile

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"pgregory.net/rapid"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

func TestClip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")) + rapid.String().Draw(t, "text")
		text = strings.Repeat(text, rapid.IntRange(1, 40).Draw(t, "times"))
		limit := rapid.IntRange(3, 64).Draw(t, "limit")
		got := clip(text, limit)
		if len(got) > limit || !utf8.ValidString(got) || strings.ContainsFunc(got, unicode.IsControl) {
			t.Fatalf("%q", got)
		}
	})
}

func TestProblemTexts(t *testing.T) {
	secret, service := kindSecret, schema.GroupKind{Kind: "Service"}
	invalid := func(gk schema.GroupKind) error {
		return apierrors.NewInvalid(gk, "x", field.ErrorList{field.Invalid(field.NewPath("data").Key("password"), "hunter2", "no good")})
	}
	webhooks := func(reason metav1.StatusReason, causes ...metav1.StatusCause) error {
		return &apierrors.StatusError{ErrStatus: metav1.Status{Reason: reason, Message: "hunter2", Code: 403, Details: &metav1.StatusDetails{Causes: causes}}}
	}
	gone := &apierrors.StatusError{ErrStatus: apierrors.NewGenericServerResponse(404, "patch", schema.GroupResource{Resource: "widgets"}, "x", "404 page not found", 0, true).ErrStatus}
	for name, c := range map[string]struct {
		kind    schema.GroupKind
		err     error
		reason  string
		has     string
		without string
	}{
		"what is invalid is refused, and says where": {service, invalid(service), ReasonRefused, "hunter2", ""},
		"of a secret only the field is told":         {secret, invalid(secret), ReasonRefused, "data[password]", "hunter2"},
		"any other error of a secret tells no text":  {secret, apierrors.NewBadRequest("cannot decode hunter2"), ReasonRefused, "BadRequest", "hunter2"},
		"a webhook's reason is not told":             {secret, webhooks("password hunter2 is too weak"), ReasonRefused, "the cluster refuses it: Unknown", "hunter2"},
		"nor its field":                              {secret, webhooks("Invalid", metav1.StatusCause{Field: "hunter2 is too weak", Type: "FieldValueInvalid"}), ReasonRefused, "Invalid; a field (FieldValueInvalid)", "hunter2"},
		"nor a field that no Secret has":             {secret, webhooks("Invalid", metav1.StatusCause{Field: "hunter2", Type: "FieldValueInvalid"}), ReasonRefused, "Invalid; a field (FieldValueInvalid)", "hunter2"},
		"nor its kind of fault":                      {secret, webhooks("Forbidden", metav1.StatusCause{Field: "metadata.annotations[example.org/a]", Type: "hunter2"}), ReasonRefused, "Forbidden; metadata.annotations[example.org/a] (Unknown)", "hunter2"},
		"what it says of others is told":             {service, webhooks("hunter2 is too weak"), ReasonRefused, "hunter2", ""},
		"a resource that is not there is a kind":     {service, gone, ReasonUnknownKind, "Service", ""},
		"an object that is not there is not":         {service, apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, "n"), ReasonRefused, "not found", ""},
		"a text that is too long is cut":             {service, apierrors.NewBadRequest(strings.Repeat("x", 5000)), ReasonRefused, "xxx…", ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := problemOf(c.kind, c.err).of(key{c.kind, "n", strings.Repeat("x", 1000)}.ref("v1"))
			if p.Reason != c.reason || !strings.Contains(p.Message, c.has) || len(p.Message) > maxMessage || len(p.Name) > maxName {
				t.Errorf("%+v", p)
			}
			if c.without != "" && strings.Contains(p.Message, c.without) {
				t.Errorf("tells a secret: %s", p.Message)
			}
		})
	}
}

func TestAWebhookOnTheWayTellsNoSecret(t *testing.T) {
	refused := apierrors.NewUnauthorized("hunter2")
	o := &object{gvk: schema.GroupVersionKind{Version: "v1", Kind: "Secret"}}
	if out := (outcome{err: refused}).asProblem(o); !isAway(out.err) || strings.Contains(out.err.Error(), "hunter2") {
		t.Errorf("%v, %+v", out.err, out.problem)
	}
	o.gvk.Kind = "Service"
	if out := (outcome{err: refused}).asProblem(o); !strings.Contains(out.err.Error(), "hunter2") {
		t.Errorf("%v, %+v", out.err, out.problem)
	}
}

func TestOnlyErrorsOfTheWayCountAsAway(t *testing.T) {
	for err, want := range map[error]bool{
		&url.Error{Op: "Get", URL: "x", Err: errors.New("connection refused")}:                   true,
		fmt.Errorf("write inventory: %w", &url.Error{Op: "Put", Err: errors.New("broken pipe")}): true,
		apierrors.NewUnauthorized("who are you"):                                                 true,
		errors.New(`invalid resource name "../x"`):                                               false,
		apierrors.NewInternalError(errors.New("failed calling webhook")):                         false,
		apierrors.NewForbidden(schema.GroupResource{}, "x", nil):                                 false,
	} {
		if got := isAway(err); got != want {
			t.Errorf("%v: %v", err, got)
		}
	}
}

func manifest(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{}
	if err := json.Unmarshal([]byte(text), &u.Object); err != nil {
		t.Fatal(err)
	}
	return u
}

func TestBody(t *testing.T) {
	u := manifest(t, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c","labels":{"app":"x"},"uid":"theirs","resourceVersion":"9",
		"managedFields":[],"creationTimestamp":null,"generation":3,"annotations":{"a":"b"}},"data":{"k":"v"}}`)
	before := u.DeepCopy()
	o := read(u)
	o.place(mapping{namespaced: true})
	body, err := o.body("shop", &sighting{uid: "mine", version: "7"})
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "data": map[string]any{"k": "v"}, "metadata": map[string]any{
		"name": "c", "namespace": "default", "uid": "mine", "resourceVersion": "7", "annotations": map[string]any{"a": "b"},
		"labels": map[string]any{"app": "x", LabelBundle: "shop", labelPartOf: applySetID("shop")},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(before.Object, u.Object); diff != "" {
		t.Errorf("the manifest was changed: %s", diff)
	}
}

// TestNoManifestCrashes feeds trees of anything where an object should be.
func TestNoManifestCrashes(t *testing.T) {
	scalar := rapid.OneOf(rapid.Just[any](nil), rapid.Map(rapid.Bool(), toAny), rapid.Map(rapid.Int64(), toAny), rapid.Map(rapid.String(), toAny))
	names := rapid.SampledFrom([]string{"apiVersion", "kind", "metadata", "name", "namespace", "labels", "annotations", "spec", "status", "group", "names",
		"scope", "conditions", "type", "finalizers", "managedFields", "deletionTimestamp", "items"})
	var tree func(depth int) *rapid.Generator[any]
	tree = func(depth int) *rapid.Generator[any] {
		if depth == 0 {
			return scalar
		}
		return rapid.OneOf(scalar, rapid.Map(rapid.SliceOfN(tree(depth-1), 0, 3), toAny), rapid.Map(rapid.MapOfN(names, tree(depth-1), 0, 6), toAny))
	}
	rapid.Check(t, func(t *rapid.T) {
		u := &unstructured.Unstructured{Object: rapid.MapOfN(names, tree(4), 0, 8).Draw(t, "object")}
		if rapid.Bool().Draw(t, "definition") {
			u.Object["apiVersion"], u.Object["kind"] = "apiextensions.k8s.io/v1", "CustomResourceDefinition"
		}
		o := read(u)
		sight(u)
		definedKinds([]*object{o})
		if o.problem.reason == "" {
			if _, err := o.body("shop", nil); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func toAny[T any](v T) any { return v }

func TestNamesOfAnyBundleAreValid(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-zA-Z0-9._-]{1,100}`)).Draw(t, "bundle")
		if wrong := validation.IsValidLabelValue(v1alpha1.BundleLabel(name)); len(wrong) > 0 {
			t.Fatal(wrong)
		}
		for _, n := range []string{shardNameOf(name), chunkName(name, 1<<63, 9999)} {
			if wrong := validation.IsDNS1123Subdomain(n); len(wrong) > 0 || !isInventoryName(n) {
				t.Fatal(n, wrong)
			}
		}
		if wrong := validation.IsConfigMapKey(objectName(name)); len(wrong) > 0 {
			t.Fatal(wrong)
		}
		if generationOf(chunkName(name, 77, 3)) != 77 {
			t.Fatal("generation")
		}
	})
}

func TestOrder(t *testing.T) {
	custom := schema.GroupKind{Group: "test.example", Kind: "Widget"}
	keys := []key{
		{kindNamespace, "", "n"}, {kindDefinition, "", "widgets.test.example"}, {custom, "n", "w"},
		{schema.GroupKind{Group: "apps", Kind: "Deployment"}, "n", "d"}, {schema.GroupKind{Kind: "ConfigMap"}, "n", "c"},
		{schema.GroupKind{Group: "admissionregistration.k8s.io", Kind: "ValidatingWebhookConfiguration"}, "", "v"},
	}
	var got []string
	for _, step := range bySteps(keys) {
		for _, k := range step {
			got = append(got, k.Kind)
		}
	}
	want := []string{"ValidatingWebhookConfiguration", "Widget", "Deployment", "ConfigMap", "Namespace", "CustomResourceDefinition"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("deleting: %s", diff)
	}
	var objects []*object
	for _, k := range keys {
		objects = append(objects, &object{gvk: k.WithVersion("v1"), key: k})
	}
	got = nil
	for _, stage := range byStage(objects) {
		for _, o := range stage {
			got = append(got, o.key.Kind)
		}
	}
	want = []string{"Namespace", "CustomResourceDefinition", "ConfigMap", "Deployment", "Widget", "ValidatingWebhookConfiguration"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("applying: %s", diff)
	}
	objects[3].order, objects[4].order = 1, -1000 // the Deployment, and a ConfigMap that is first of its stage anyhow
	var sizes []int
	got = nil
	for _, stage := range byStage(objects) {
		sizes = append(sizes, len(stage))
		got = append(got, stage[len(stage)-1].key.Kind)
	}
	want = []string{"CustomResourceDefinition", "ConfigMap", "Widget", "Deployment", "ValidatingWebhookConfiguration"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("applying by what objects say: %s", diff)
	}
	if diff := cmp.Diff([]int{2, 1, 1, 1, 1}, sizes); diff != "" {
		t.Errorf("what is applied together: %s", diff)
	}
}

func TestAFieldThatCannotBeChangedSaysWhatToDo(t *testing.T) {
	refused := func(kind schema.GroupKind, why string) string {
		at := field.Forbidden(field.NewPath("data"), why)
		return problemOf(kind, apierrors.NewInvalid(kind, "x", field.ErrorList{at})).message
	}
	config := schema.GroupKind{Kind: "ConfigMap"}
	if got := refused(config, "field is immutable when `immutable` is set"); !strings.Contains(got, "data: Forbidden") || !strings.HasSuffix(got, immutableHint) {
		t.Error(got)
	}
	if got := refused(kindSecret, "field is immutable, hunter2"); strings.Contains(got, "hunter2") || !strings.HasSuffix(got, immutableHint) {
		t.Error(got)
	}
	if got := refused(config, strings.Repeat("immutable ", 200)); len(got) > maxMessage || !strings.HasSuffix(got, immutableHint) {
		t.Errorf("%d bytes: %s", len(got), got)
	}
	if got := refused(config, "it is wrong"); strings.HasSuffix(got, immutableHint) {
		t.Error(got)
	}
}
