package plan

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// object makes one of a kind; name is namespace/name, or a name alone.
func object(kind, name string, fields ...any) unstructured.Unstructured {
	o := unstructured.Unstructured{Object: map[string]any{}}
	version := map[string]string{
		"Deployment": "apps/v1", "CustomResourceDefinition": "apiextensions.k8s.io/v1", "Ingress": "networking.k8s.io/v1",
	}[kind]
	if version == "" {
		version = "v1"
	}
	o.SetAPIVersion(version)
	o.SetKind(kind)
	if namespace, rest, ok := strings.Cut(name, "/"); ok {
		o.SetNamespace(namespace)
		name = rest
	}
	o.SetName(name)
	for i := 0; i+1 < len(fields); i += 2 {
		o.Object[fields[i].(string)] = fields[i+1]
	}
	return o
}

func configMaps(n int) []unstructured.Unstructured {
	var all []unstructured.Unstructured
	for i := range n {
		all = append(all, object("ConfigMap", fmt.Sprintf("shop/c%d", i)))
	}
	return all
}

func with(list []unstructured.Unstructured, more ...unstructured.Unstructured) []unstructured.Unstructured {
	return append(append([]unstructured.Unstructured{}, list...), more...)
}

func TestGuard(t *testing.T) {
	secret := object("Secret", "shop/key", "data", map[string]any{"k": "dg=="})
	newer := object("Deployment", "shop/web")
	older := newer.DeepCopy()
	older.SetAPIVersion("apps/v1beta1")
	foreign := object("Secret", "shop/key", "data", map[string]any{"k": "v"})
	foreign.SetAPIVersion("vault.example.com/v1")

	for _, test := range []struct {
		name          string
		before, after []unstructured.Unstructured
		allow         Allowance
		want          []string
	}{
		{name: "a first apply is fine", after: configMaps(3)},
		{name: "the same again is fine", before: configMaps(3), after: configMaps(3)},
		{name: "nothing is refused, with whatever allowance", before: configMaps(3), allow: Allowance{Delete: 99, PlainSecrets: true},
			want: []string{"there is nothing in it"}},
		{name: "a fifth may go", before: configMaps(10), after: configMaps(8)},
		{name: "more than a fifth may not", before: configMaps(10), after: configMaps(7),
			want: []string{"it would delete 3 of 10 objects: configmap shop/c7, configmap shop/c8, configmap shop/c9"}},
		{name: "more than a fifth may when the number is said", before: configMaps(10), after: configMaps(7), allow: Allowance{Delete: 3}},
		{name: "a larger number is enough", before: configMaps(10), after: configMaps(7), allow: Allowance{Delete: 9}},
		{name: "a smaller number is not", before: configMaps(10), after: configMaps(7), allow: Allowance{Delete: 2},
			want: []string{"it would delete 3 of 10 objects: configmap shop/c7, configmap shop/c8, configmap shop/c9"}},
		{name: "one namespace of a hundred may not go", before: with(configMaps(99), object("Namespace", "shop")), after: configMaps(99),
			want: []string{"it would delete 1 of 100 objects: namespace shop"}},
		{name: "a definition may not go", before: with(configMaps(99), object("CustomResourceDefinition", "x.example.com")), after: configMaps(99),
			want: []string{"it would delete 1 of 100 objects: customresourcedefinition x.example.com"}},
		{name: "a claim may not go", before: with(configMaps(99), object("PersistentVolumeClaim", "shop/db")), after: configMaps(99),
			want: []string{"it would delete 1 of 100 objects: persistentvolumeclaim shop/db"}},
		{name: "a claim may go when said", before: with(configMaps(99), object("PersistentVolumeClaim", "shop/db")), after: configMaps(99), allow: Allowance{Delete: 1}},
		{name: "the worst is named first, and not more than five", before: with(configMaps(7), object("Namespace", "shop")), after: configMaps(1),
			want: []string{"it would delete 7 of 8 objects: namespace shop, configmap shop/c1, configmap shop/c2, configmap shop/c3, configmap shop/c4, and 2 more"}},
		{name: "a newer version of a kind drops nothing", before: []unstructured.Unstructured{*older}, after: []unstructured.Unstructured{newer}},
		{name: "saying the default namespace drops nothing", before: []unstructured.Unstructured{object("ConfigMap", "a")}, after: []unstructured.Unstructured{object("ConfigMap", "default/a")}},
		{name: "another namespace drops", before: []unstructured.Unstructured{object("ConfigMap", "a")}, after: []unstructured.Unstructured{object("ConfigMap", "b/a")},
			want: []string{"it would delete 1 of 1 objects: configmap a"}},
		{name: "two objects of one name are refused", after: with(configMaps(2), object("ConfigMap", "shop/c1")),
			want: []string{"configmap shop/c1 is in it twice"}},
		{name: "in two versions they are still one", after: []unstructured.Unstructured{*older, newer},
			want: []string{"deployment shop/web is in it twice"}},
		{name: "one name in two kinds or namespaces is fine", after: []unstructured.Unstructured{object("ConfigMap", "a/x"), object("ConfigMap", "b/x"), object("Service", "a/x")}},
		{name: "a secret with data is refused", after: []unstructured.Unstructured{secret},
			want: []string{"it would keep secrets in plain text in the log of every member: secret shop/key"}},
		{name: "stringData is data too", after: []unstructured.Unstructured{object("Secret", "s", "stringData", map[string]any{"k": "v"})},
			want: []string{"it would keep secrets in plain text in the log of every member: secret s"}},
		{name: "a secret with data of a wrong type is refused as well", after: []unstructured.Unstructured{object("Secret", "s", "data", "v")},
			want: []string{"it would keep secrets in plain text in the log of every member: secret s"}},
		{name: "a secret without data is fine", after: []unstructured.Unstructured{object("Secret", "s", "data", map[string]any{})}},
		{name: "a secret with data is fine when said", after: []unstructured.Unstructured{secret}, allow: Allowance{PlainSecrets: true}},
		{name: "a Secret of another group is somebody else's", after: []unstructured.Unstructured{foreign}},
		{name: "too much is refused", after: []unstructured.Unstructured{object("ConfigMap", "big", "data", map[string]any{"k": strings.Repeat("x", MaxBundle)})},
			want: []string{"its manifests are 12.0 MiB; a bundle holds at most 12 MiB"}},
		{name: "everything wrong is said at once", before: configMaps(3), after: []unstructured.Unstructured{secret, secret},
			want: []string{
				"secret shop/key is in it twice",
				"it would keep secrets in plain text in the log of every member: secret shop/key, secret shop/key",
				"it would delete 3 of 3 objects: configmap shop/c0, configmap shop/c1, configmap shop/c2",
			}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			for _, o := range Guard(test.before, test.after, test.allow) {
				got = append(got, o.Error())
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("objections (-want +got):\n%s", diff)
			}
		})
	}
}
