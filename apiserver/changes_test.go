package apiserver

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// change puts a record of a person's change of an object, with what was before.
func (l *live) change(t *testing.T, resource, name, by string, before any) string {
	t.Helper()
	c := v1alpha1.Change{TypeMeta: v1alpha1.TypeOf("Change"), Spec: v1alpha1.ChangeSpec{Resource: resource, Name: name, Verb: v1alpha1.ChangeUpdate, By: by, Through: "fra"}}
	c.Name = v1alpha1.ChangeName(resource, name, "u-1", uint64(l.View().Revision()))
	l.put(t, v1alpha1.KeyPasts+c.Name, before)
	l.put(t, v1alpha1.KeyChanges+c.Name, c)
	return c.Name
}

func TestAChangeTellsItsRevisionAndWhatWasBefore(t *testing.T) {
	l := start(t, nil)
	ctx := t.Context()
	name := l.change(t, "bundles", "shop", "ann", bundle("shop", configMap("a")).Object)
	l.change(t, "bundles", "web", "bob", bundle("web").Object)
	viewer := client(t, l.user(t, "vera", v1alpha1.RoleViewer), "changes")
	list, err := viewer.List(ctx, metav1.ListOptions{FieldSelector: "spec.resource=bundles,spec.name=shop,spec.by=ann"})
	if err != nil || len(list.Items) != 1 || list.Items[0].GetName() != name {
		t.Fatalf("%v: %v", list, err)
	}
	got, err := viewer.Get(ctx, name, metav1.GetOptions{}, "before")
	if err != nil {
		t.Fatal(err)
	}
	if kv, _ := l.View().Get(v1alpha1.KeyChanges + name); got.GetResourceVersion() != list.Items[0].GetResourceVersion() || store.Revision(revisionOf(t, got.GetResourceVersion())) != kv.Modified {
		t.Errorf("at revision %s, it lies at %d", got.GetResourceVersion(), kv.Modified)
	}
	before, _ := got.Object["spec"].(map[string]any)["before"].(map[string]any)
	if diff := cmp.Diff(plain(t, bundle("shop", configMap("a")).Object), before); diff != "" {
		t.Error(diff)
	}
	for _, err := range []error{viewer.Delete(ctx, name, metav1.DeleteOptions{}), client(t, l.local(), "changes").Delete(ctx, name, metav1.DeleteOptions{})} {
		if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "never change") {
			t.Errorf("delete: %v", err)
		}
	}
}

func TestAnAdminStrikesOffWhatWasBeforeAChange(t *testing.T) {
	var asked []Write
	l := start(t, func(c *Config) {
		c.FrontProxy = clusterOfPeople(t)
		c.Companion = func(_ *store.View, w Write) ([]store.Condition, []store.Op, error) {
			asked = append(asked, w)
			return nil, nil, nil
		}
	})
	ctx := t.Context()
	name := l.change(t, "bundles", "shop", "ann", bundle("shop", configMap("a")).Object)
	admin := client(t, l.user(t, "ann", v1alpha1.RoleAdmin), "changes")
	guest := headers(l.tcpConfig(t, certificate(t)), http.Header{"X-Remote-User": {"jane"}, "X-Remote-Group": {"ops"}})
	for who, c := range map[string]*rest.Config{"an operator": l.user(t, "otto", v1alpha1.RoleOperator), "a guest": guest} {
		if err := client(t, c, "changes").Delete(ctx, name, metav1.DeleteOptions{}, "before"); !apierrors.IsForbidden(err) {
			t.Errorf("%s: %v", who, err)
		}
	}
	if err := admin.Delete(ctx, name, metav1.DeleteOptions{DryRun: []string{metav1.DryRunAll}}, "before"); err != nil || len(asked) != 0 {
		t.Errorf("a dry run wrote %d times: %v", len(asked), err)
	}
	if err := admin.Delete(ctx, name, metav1.DeleteOptions{}, "before"); err != nil {
		t.Fatal(err)
	}
	if len(asked) != 1 || asked[0].Key != v1alpha1.KeyPasts+name || asked[0].After != nil || len(asked[0].Before) == 0 || asked[0].Asker.Person != "ann" {
		t.Errorf("the law was asked about %+v", asked)
	}
	got, err := admin.Get(ctx, name, metav1.GetOptions{}, "before")
	if err != nil || got.Object["spec"].(map[string]any)["before"] != nil {
		t.Errorf("afterwards: %v, %v", got, err)
	}
	if err := admin.Delete(ctx, name, metav1.DeleteOptions{}, "before"); !apierrors.IsNotFound(err) {
		t.Errorf("again: %v", err)
	}
	if err := admin.Delete(ctx, "nope", metav1.DeleteOptions{}, "before"); !apierrors.IsNotFound(err) {
		t.Errorf("of no change: %v", err)
	}
}

func revisionOf(t *testing.T, text string) (rev uint64) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &rev); err != nil {
		t.Fatal(err)
	}
	return rev
}

// plain is a value as JSON tells it.
func plain(t *testing.T, value map[string]any) (out map[string]any) {
	t.Helper()
	data, err := json.Marshal(value)
	if err == nil {
		err = json.Unmarshal(data, &out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestWhatAUserWasIsForAdmins(t *testing.T) {
	l := start(t, func(c *Config) { c.FrontProxy = clusterOfPeople(t) })
	name := l.change(t, "users", "otto", "ann", object("User", "otto", map[string]any{"role": "Admin"}).Object)
	guest := headers(l.tcpConfig(t, certificate(t)), http.Header{"X-Remote-User": {"jane"}, "X-Remote-Group": {"ops"}})
	posing := headers(l.tcpConfig(t, certificate(t)), http.Header{"X-Remote-User": {"jane"}, "X-Remote-Group": {"ops", groupRole + string(v1alpha1.RoleAdmin)}})
	for who, tt := range map[string]struct {
		err error
		may bool
	}{
		"an admin":    {may: true, err: second(client(t, l.user(t, "ann", v1alpha1.RoleAdmin), "changes").Get(t.Context(), name, metav1.GetOptions{}, "before"))},
		"a viewer":    {err: second(client(t, l.user(t, "vera", v1alpha1.RoleViewer), "changes").Get(t.Context(), name, metav1.GetOptions{}, "before"))},
		"a guest":     {err: second(client(t, guest, "changes").Get(t.Context(), name, metav1.GetOptions{}, "before"))},
		"who says so": {err: second(client(t, posing, "changes").Get(t.Context(), name, metav1.GetOptions{}, "before"))},
		"the owner":   {may: true, err: second(client(t, l.local(), "changes").Get(t.Context(), name, metav1.GetOptions{}, "before"))},
	} {
		if (tt.err == nil) != tt.may || tt.err != nil && !apierrors.IsForbidden(tt.err) {
			t.Errorf("%s: %v", who, tt.err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// Who asks is told with each write: a person by their role, a guest as its kube-apiserver says, and nobody's word but that
// one's is taken for where a request came from.
func TestWhoAsksIsToldWithEachWrite(t *testing.T) {
	var asked []Asker
	l := start(t, func(c *Config) {
		c.FrontProxy = clusterOfPeople(t)
		c.Companion = func(_ *store.View, w Write) ([]store.Condition, []store.Op, error) {
			asked = append(asked, w.Asker)
			return nil, nil, nil
		}
	})
	ann := headers(l.user(t, "ann", v1alpha1.RoleOperator), http.Header{"X-Forwarded-For": {"192.0.2.1"}})
	guest := headers(l.tcpConfig(t, certificate(t)), http.Header{"X-Remote-User": {"jane"}, "X-Remote-Group": {"ops"}, "X-Forwarded-For": {"192.0.2.1", "mallory, 192.0.2.7"}})
	local := l.local()
	local.UserAgent, ann.UserAgent, guest.UserAgent = "hanse", "kubectl", "argocd"
	for i, c := range []*rest.Config{local, ann, guest} {
		if _, err := client(t, c, "bundles").Create(t.Context(), bundle(string(rune('a'+i))), metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	want := []Asker{
		{Person: "hanse:local", Groups: []string{"system:authenticated", "hanse:role:Admin"}, UserAgent: "hanse"},
		{Person: "ann", Groups: []string{"system:authenticated", "hanse:role:Operator"}, SourceIP: "127.0.0.1", UserAgent: "kubectl"},
		{Person: "hanse:fra:jane", Groups: []string{"ops", "system:authenticated"}, SourceIP: "192.0.2.7", UserAgent: "argocd"},
	}
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Error(diff)
	}
}

func TestWhereAGuestCameFromIsTheWordOfTheLastOnTheWay(t *testing.T) {
	for header, want := range map[string]string{
		"": "", "192.0.2.7": "192.0.2.7", "1.1.1.1, 192.0.2.7": "192.0.2.7", "192.0.2.7, unknown": "", "192.0.2.7,": "",
		"2001:db8::1": "2001:db8::1", "fe80::1%eth0": "fe80::1", "\x1b[2J": "",
	} {
		if got := lastForwarded(http.Header{"X-Forwarded-For": {"10.9.9.9", header}}); got != want {
			t.Errorf("%q: %q", header, got)
		}
	}
}

// The name of a change is long, and says what its other columns say.
func TestATableOfChangesBeginsWithTheObject(t *testing.T) {
	defs := changeTable().definitions()
	if defs[0].Name != "Object" || defs[0].Priority != 0 {
		t.Errorf("it begins with %+v", defs[0])
	}
	names := 0
	for _, d := range defs {
		if d.Format == "name" {
			names++
			if d.Priority == 0 {
				t.Error("the name is not for -o wide only")
			}
		}
	}
	if names != 1 {
		t.Errorf("%d names", names)
	}
}
