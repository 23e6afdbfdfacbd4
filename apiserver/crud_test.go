package apiserver

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

func TestABundleIsCreatedChangedAndDeleted(t *testing.T) {
	l := start(t, nil)
	bundles, ctx := client(t, l.local(), "bundles"), t.Context()

	made, err := bundles.Create(ctx, bundle("shop", configMap("a")), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if made.GetUID() == "" || made.GetGeneration() != 1 || made.GetResourceVersion() == "" {
		t.Errorf("made %v", made.Object["metadata"])
	}
	if drift, _, _ := unstructured.NestedString(made.Object, "spec", "drift"); drift != "Correct" {
		t.Errorf("drift is %q without a word from the person", drift)
	}

	_, err = bundles.Patch(ctx, "shop", types.MergePatchType, []byte(`{"spec":{"drift":"Report"}}`), metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = bundles.Update(ctx, made, metav1.UpdateOptions{})
	if !apierrors.IsConflict(err) {
		t.Errorf("update of an old version: %v", err)
	}
	got, err := bundles.Get(ctx, "shop", metav1.GetOptions{})
	if err != nil || got.GetGeneration() != 2 {
		t.Errorf("generation %d after one change (%v)", got.GetGeneration(), err)
	}

	uid := types.UID("another")
	err = bundles.Delete(ctx, "shop", metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}})
	if !apierrors.IsConflict(err) {
		t.Errorf("delete of another uid: %v", err)
	}
	if err := bundles.Delete(ctx, "shop", metav1.DeleteOptions{}); err != nil {
		t.Error(err)
	}
	if _, err := bundles.Get(ctx, "shop", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("get of what was deleted: %v", err)
	}
}

func TestManifestsInAnotherLayoutAreNoChange(t *testing.T) {
	l := start(t, nil)
	ctx := t.Context()
	put := func(body string) string {
		t.Helper()
		out, err := client(t, l.local(), "bundles").Patch(ctx, "shop", types.ApplyYAMLPatchType, []byte(body), metav1.PatchOptions{FieldManager: "t"})
		if err != nil {
			t.Fatal(err)
		}
		return out.GetResourceVersion()
	}
	head := `{"apiVersion":"fleet.hanse.dev/v1alpha1","kind":"Bundle","metadata":{"name":"shop"},"spec":{"manifests":[`
	first := put(head + `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a"},"data":{"x":"<&>"}}]}}`)
	again := put(head + `  { "apiVersion": "v1", "data":{"x":"\u003c&>"}, "metadata": {"name": "a"}, "kind": "ConfigMap"} ]}}`)
	if first != again {
		t.Errorf("resourceVersion %s became %s by spaces and order", first, again)
	}
}

func TestServerSideApplyKeepsOwners(t *testing.T) {
	l := start(t, nil)
	bundles, ctx := client(t, l.local(), "bundles"), t.Context()
	apply := func(manager string, spec map[string]any, force bool) (*unstructured.Unstructured, error) {
		return bundles.Apply(ctx, "shop", object("Bundle", "shop", spec), metav1.ApplyOptions{FieldManager: manager, Force: force})
	}
	made, err := apply("ann", map[string]any{"drift": "Report", "manifests": []any{configMap("a")}}, false)
	if err != nil {
		t.Fatal(err)
	}
	if len(made.GetManagedFields()) == 0 {
		t.Error("no managed fields")
	}
	if _, err := apply("bob", map[string]any{"drift": "Correct"}, false); !apierrors.IsConflict(err) || !strings.Contains(err.Error(), "ann") {
		t.Errorf("apply of another's field: %v", err)
	}
	if _, err := apply("bob", map[string]any{"drift": "Correct"}, true); err != nil {
		t.Errorf("forced apply: %v", err)
	}
	got, err := apply("bob", map[string]any{"deletion": "Orphan"}, false)
	if err != nil {
		t.Fatal(err)
	}
	manifests, _, _ := unstructured.NestedSlice(got.Object, "spec", "manifests")
	if len(manifests) != 1 {
		t.Errorf("manifests of ann are gone: %v", got.Object["spec"])
	}
}

func TestDryRunWritesNothing(t *testing.T) {
	l := start(t, nil)
	bundles, ctx := client(t, l.local(), "bundles"), t.Context()
	before := l.View().Revision()
	if _, err := bundles.Create(ctx, bundle("shop"), metav1.CreateOptions{DryRun: []string{"All"}}); err != nil {
		t.Error(err)
	}
	if _, err := bundles.Apply(ctx, "shop", bundle("shop"), metav1.ApplyOptions{FieldManager: "t", DryRun: []string{"All"}}); err != nil {
		t.Error(err)
	}
	if l.View().Revision() != before {
		t.Errorf("revision %d became %d", before, l.View().Revision())
	}
}

func TestAnotherVersionOrKindIsRefused(t *testing.T) {
	const all, shop = "/apis/fleet.hanse.dev/v1alpha1/bundles", "/apis/fleet.hanse.dev/v1alpha1/bundles/shop"
	l := start(t, nil)
	if _, err := client(t, l.local(), "bundles").Create(t.Context(), bundle("shop"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	before := l.View().Revision()
	for name, row := range map[string]struct {
		version, kind, says string
	}{
		"a version to come":  {"fleet.hanse.dev/v2", "Bundle", "v2"},
		"another group":      {"apps/v1", "Bundle", "apps/v1"},
		"another kind of us": {"fleet.hanse.dev/v1alpha1", "Cluster", "Cluster"},
		"no kind":            {"fleet.hanse.dev/v1alpha1", "Nothing", "Nothing"},
	} {
		body := fmt.Sprintf(`{"apiVersion":%q,"kind":%q,"metadata":{"name":"shop"}}`, row.version, row.kind)
		for method, path := range map[string]string{"POST": all, "PUT": shop} {
			if status, _ := l.do(t, method, path, "application/json", body); status.Code != http.StatusBadRequest || !strings.Contains(status.Message, row.says) {
				t.Errorf("%s of %s: %+v", method, name, status)
			}
		}
		if status, _ := l.do(t, "PATCH", shop+"?fieldManager=t", "application/apply-patch+yaml", body); status.Code < 400 || status.Code >= 500 {
			t.Errorf("apply of %s: %+v", name, status)
		}
	}
	if after := l.View().Revision(); after != before {
		t.Errorf("revision %d became %d", before, after)
	}
}

func TestWhatIsMalformedIsRefused(t *testing.T) {
	const all, shop = "/apis/fleet.hanse.dev/v1alpha1/bundles", "/apis/fleet.hanse.dev/v1alpha1/bundles/shop"
	const head = `{"apiVersion":"fleet.hanse.dev/v1alpha1","kind":"Bundle","metadata":{"name":"shop"},`
	l := start(t, nil)
	if _, err := client(t, l.local(), "bundles").Create(t.Context(), bundle("shop"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	before := l.View().Revision()
	for name, row := range map[string]struct {
		contentType, body string
	}{
		"nothing":                   {"application/json", ""},
		"half of an object":         {"application/json", head},
		"no JSON":                   {"application/json", "<bundle/>"},
		"a list":                    {"application/json", "[]"},
		"a text for an object":      {"application/json", head + `"spec":"all"}`},
		"a number for a text":       {"application/json", head + `"spec":{"drift":7}}`},
		"a map for a list":          {"application/json", head + `"spec":{"manifests":{}}}`},
		"a manifest of no kind":     {"application/json", head + `"spec":{"manifests":[{"apiVersion":"v1","metadata":{"name":"x"}}]}}`},
		"nested for ever":           {"application/json", head + `"spec":{"manifests":[` + strings.Repeat(`{"a":`, 20000) + "1" + strings.Repeat("}", 20000) + "]}}"},
		"YAML that is none":         {"application/yaml", "apiVersion: [fleet"},
		"YAML that grows":           {"application/yaml", "a: &a [x,x,x,x,x,x,x,x,x]\n" + strings.Repeat("b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n", 9)},
		"protobuf that is none":     {"application/vnd.kubernetes.protobuf", "k8s\x00garbage"},
		"a form of no API's":        {"text/plain", "shop"},
		"another name than the URL": {"application/json", strings.Replace(head, "shop", "Shop!", 1) + `"spec":{}}`},
	} {
		for method, path := range map[string]string{"POST": all, "PUT": shop} {
			status, _ := l.do(t, method, path, row.contentType, row.body)
			if status.Code < 400 || status.Code >= 500 || status.Message == "" {
				t.Errorf("%s of %s: %+v", method, name, status)
			}
		}
	}
	for contentType, body := range map[string]string{
		"application/json-patch+json":            `[{"op":"move"`,
		"application/merge-patch+json":           `{"spec":`,
		"application/strategic-merge-patch+json": `{"spec":"all"}`,
		"application/apply-patch+yaml":           "spec: [",
		"application/x-patch":                    "{}",
	} {
		if status, _ := l.do(t, "PATCH", shop+"?fieldManager=t", contentType, body); status.Code < 400 || status.Code >= 500 || status.Message == "" {
			t.Errorf("patch of %s: %+v", contentType, status)
		}
	}
	if after := l.View().Revision(); after != before {
		t.Errorf("revision %d became %d", before, after)
	}
}

func TestStatusIsNotWrittenByPeople(t *testing.T) {
	l := start(t, nil)
	bundles, ctx := client(t, l.local(), "bundles"), t.Context()
	b := bundle("shop")
	b.Object["status"] = map[string]any{"clusters": int64(7)}
	made, err := bundles.Create(ctx, b, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if n, _, _ := unstructured.NestedInt64(made.Object, "status", "clusters"); n != 0 {
		t.Errorf("created with status.clusters %d", n)
	}
	if _, err := bundles.UpdateStatus(ctx, made, metav1.UpdateOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("update of the status: %v", err)
	}
	if _, err := bundles.Get(ctx, "shop", metav1.GetOptions{}, "status"); err != nil {
		t.Errorf("get of the status: %v", err)
	}
}

func TestClustersJoinAndAreNeverCreated(t *testing.T) {
	l := start(t, nil)
	clusters, ctx := client(t, l.local(), "clusters"), t.Context()
	_, err := clusters.Create(ctx, object("Cluster", "iad", map[string]any{"region": "us"}), metav1.CreateOptions{})
	if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "hanse token create") {
		t.Errorf("create: %v", err)
	}
	_, err = clusters.Apply(ctx, "iad", object("Cluster", "iad", map[string]any{"region": "us"}), metav1.ApplyOptions{FieldManager: "t"})
	if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "hanse token create") {
		t.Errorf("apply: %v", err)
	}

	joined := object("Cluster", "iad", map[string]any{"region": "us", "zone": "a"})
	joined.SetUID("c-1")
	l.put(t, v1alpha1.KeyClusters+"iad", joined.Object)
	got, err := clusters.Patch(ctx, "iad", types.MergePatchType, []byte(`{"spec":{"region":"eu","zone":null},"metadata":{"labels":{"tier":"prod"}}}`), metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	labels := got.GetLabels()
	if labels[v1alpha1.LabelRegion] != "eu" || labels["tier"] != "prod" || labels[v1alpha1.LabelZone] != "" {
		t.Errorf("labels %v", labels)
	}
	if err := clusters.Delete(ctx, "iad", metav1.DeleteOptions{}); err != nil {
		t.Errorf("delete: %v", err)
	}
}

func TestCompanionsJoinTheTransaction(t *testing.T) {
	const beside = "/beside/shop"
	l := start(t, func(c *Config) {
		c.Companion = func(v *store.View, w Write) ([]store.Condition, []store.Op, error) {
			if w.After == nil {
				return nil, []store.Op{store.Delete(beside)}, nil
			}
			return []store.Condition{store.PrefixUnchanged("/busy/", v.Revision())}, []store.Op{store.Put(beside, []byte(w.Key))}, nil
		}
	})
	bundles, ctx := client(t, l.local(), "bundles"), t.Context()
	faster := 3
	l.Before = func(store.Txn) {
		if faster > 0 {
			faster--
			l.Put("/busy/x", "")
		}
	}
	if _, err := bundles.Create(ctx, bundle("shop"), metav1.CreateOptions{}); err != nil {
		t.Fatalf("create while the companions' prefix is busy: %v", err)
	}
	b, _ := l.View().Get(v1alpha1.KeyBundles + "shop")
	c, ok := l.View().Get(beside)
	if !ok || b.Modified != c.Modified || string(c.Value) != v1alpha1.KeyBundles+"shop" {
		t.Errorf("bundle at %d, its companion %q at %d", b.Modified, c.Value, c.Modified)
	}
	if err := bundles.Delete(ctx, "shop", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, there := l.View().Get(beside); there {
		t.Error("the companion of the deletion is missing")
	}
}

func TestAnEightMebibyteBundleIsTaken(t *testing.T) {
	l := start(t, nil)
	bundles, ctx := client(t, l.user(t, "ann", v1alpha1.RoleOperator), "bundles"), t.Context()
	if _, err := bundles.Create(ctx, huge("created", hugeSize), metav1.CreateOptions{}); err != nil {
		t.Fatalf("create: %v", err)
	}
	applied, err := bundles.Apply(ctx, "applied", huge("applied", hugeSize), metav1.ApplyOptions{FieldManager: "t"})
	if err != nil {
		t.Fatalf("apply: %v", err)
	}
	applied.SetManagedFields(nil)
	applied.SetLabels(map[string]string{"tier": "prod"})
	if _, err := bundles.Update(ctx, applied, metav1.UpdateOptions{}); err != nil {
		t.Errorf("update: %v", err)
	}
}

func TestARequestTooLargeIsRefused(t *testing.T) {
	l := start(t, nil)
	config := l.user(t, "ann", v1alpha1.RoleOperator)
	body := io.LimitReader(neverEnding(' '), maxBody+1)
	resp, err := httpClient(t, config).Post(config.Host+"/apis/fleet.hanse.dev/v1alpha1/bundles", "application/json", body)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("status %s", resp.Status)
	}
}

// neverEnding is a reader of one byte for ever.
type neverEnding byte

func (b neverEnding) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(b)
	}
	return len(p), nil
}

// huge makes a bundle of that many bytes.
func huge(name string, size int) *unstructured.Unstructured {
	var manifests []any
	const each = 512 << 10
	for i := 0; i < size/each; i++ {
		m := configMap(name + "-" + strings.Repeat("x", i+1))
		m["data"] = map[string]any{"blob": strings.Repeat("y", each)}
		manifests = append(manifests, m)
	}
	return bundle(name, manifests...)
}

func TestThePersonIsPassedOn(t *testing.T) {
	l := start(t, nil)
	ctx := context.Background()
	if _, err := client(t, l.local(), "bundles").Create(ctx, bundle("a"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := client(t, l.user(t, "ann", v1alpha1.RoleOperator), "bundles").Create(ctx, bundle("b"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := l.Persons(); len(got) != 2 || got[0] != v1alpha1.LocalPerson || got[1] != "ann" {
		t.Errorf("proposed by %q", got)
	}
}

// kubectl says "deleted" of a bundle whose objects stay until somebody approves; what it shows besides are warnings.
func TestWhoDeletesABundleIsWarnedOfWhatStays(t *testing.T) {
	l := start(t, func(c *Config) {
		c.Deleted = func(_ context.Context, rolled v1alpha1.RolledOut, uid string) string {
			if rolled.Name == "leaves-nothing" {
				return ""
			}
			return rolled.Title() + " of " + uid + " stays"
		}
	})
	var seen warnings
	bundles, ctx := client(t, seen.taken(l.local()), "bundles"), t.Context()
	for _, name := range []string{"shop", "leaves-nothing"} {
		made, err := bundles.Create(ctx, bundle(name), metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if err := bundles.Delete(ctx, name, metav1.DeleteOptions{DryRun: []string{metav1.DryRunAll}}); err != nil || len(seen) > 1 {
			t.Errorf("a dry run of deleting %s: %v, warnings %q", name, err, seen)
		}
		if err := bundles.Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("bundle shop of %s stays", made.GetUID()); name == "shop" && !slices.Equal(seen, warnings{want}) {
			t.Errorf("warned of %q, not of %q", seen, want)
		}
	}
	if len(seen) != 1 {
		t.Errorf("warned of what leaves nothing: %q", seen)
	}
	if err := bundles.Delete(ctx, "shop", metav1.DeleteOptions{}); !apierrors.IsNotFound(err) || len(seen) != 1 {
		t.Errorf("deleted again: %v, warnings %q", err, seen)
	}
}
