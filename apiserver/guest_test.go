package apiserver

import (
	"context"
	"crypto/x509"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// clusterOfPeople believes any certificate about who asks, and lets the group ops do everything.
func clusterOfPeople(t *testing.T) *FrontProxy {
	return &FrontProxy{
		Certificate: certificate(t),
		Authenticator: authenticator.RequestFunc(func(r *http.Request) (*authenticator.Response, bool, error) {
			name := r.Header.Get("X-Remote-User")
			return &authenticator.Response{User: &user.DefaultInfo{Name: name, Groups: r.Header.Values("X-Remote-Group")}}, name != "", nil
		}),
		Authorizer: authorizer.AuthorizerFunc(func(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
			if slices.Contains(a.GetUser().GetGroups(), "ops") {
				return authorizer.DecisionAllow, "", nil
			}
			return authorizer.DecisionNoOpinion, "", nil
		}),
	}
}

// headers adds headers to each request of a client.
func headers(c *rest.Config, add http.Header) *rest.Config {
	c = rest.CopyConfig(c)
	c.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			r = r.Clone(r.Context())
			for name, values := range add {
				r.Header[name] = values
			}
			return next.RoundTrip(r)
		})
	})
	return c
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func bundlesOf(t *testing.T, c *rest.Config) dynamic.ResourceInterface {
	t.Helper()
	client, err := dynamic.NewForConfig(c)
	if err != nil {
		t.Fatal(err)
	}
	return client.Resource(v1alpha1.SchemeGroupVersion.WithResource("bundles"))
}

func TestGuestsAreJudgedByTheirClusterAndNamedAfterIt(t *testing.T) {
	l := start(t, func(c *Config) { c.FrontProxy = clusterOfPeople(t) })
	asking := func(name string, groups ...string) dynamic.ResourceInterface {
		return bundlesOf(t, headers(l.tcpConfig(t, certificate(t)), http.Header{"X-Remote-User": {name}, "X-Remote-Group": groups}))
	}
	object := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": v1alpha1.SchemeGroupVersion.String(), "kind": "Bundle", "metadata": map[string]any{"generateName": "b-"},
		"spec": map[string]any{"placement": map[string]any{"clusterSelector": map[string]any{}}},
	}}
	if _, err := asking("jane", "devs").Create(t.Context(), object, metav1.CreateOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("whom the cluster does not let: %v", err)
	}
	for _, name := range []string{"jane", "system:serviceaccount:argocd:controller", v1alpha1.LocalPerson} {
		if _, err := asking(name, "ops").Create(t.Context(), object, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"hanse:fra:jane", "hanse:fra:system:serviceaccount:argocd:controller", "hanse:fra:hanse:local"}
	if diff := cmp.Diff(want, l.Persons()); diff != "" {
		t.Error(diff)
	}
	for name, why := range map[string]string{
		strings.Repeat("j", maxGuest+1): "384 at most", "jane\x1b[2J": "cannot be shown", "jane\u202e": "cannot be shown", "jane\u009b": "cannot be shown", "jane\xff": "cannot be shown",
	} {
		g := guest{Info: &user.DefaultInfo{Name: name, Groups: []string{"ops"}}, cluster: "fra"}
		for _, verb := range []string{"list", "create"} {
			attr := authorizer.AttributesRecord{User: g, Verb: verb, APIGroup: v1alpha1.GroupName, Resource: "bundles", ResourceRequest: true}
			if got := refuseGuest(g, attr); !strings.Contains(got, why) || strings.Contains(got, name) {
				t.Errorf("%q may %s: %q", name, verb, got)
			}
		}
	}
	// A header cannot carry what controls a terminal, but what turns a line around.
	if _, err := asking("jane\u202e", "ops").List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "cannot be shown") || strings.Contains(err.Error(), "\u202e") {
		t.Errorf("a name that cannot be shown: %v", err)
	}
	if _, err := asking("jane", "ops").Get(t.Context(), strings.Repeat("b", 254), metav1.GetOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("a name that no object has: %v", err)
	}
}

func TestNobodyAsksInAnothersName(t *testing.T) {
	l := start(t, func(c *Config) { c.FrontProxy = clusterOfPeople(t) })
	viewer := l.user(t, "vera", v1alpha1.RoleViewer)
	t.Run("the cluster's headers mean nothing from a person", func(t *testing.T) {
		asking := headers(viewer, http.Header{"X-Remote-User": {"root"}, "X-Remote-Group": {"ops"}})
		if err := bundlesOf(t, asking).DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{}); !apierrors.IsForbidden(err) {
			t.Error(err)
		}
	})
	for name, asks := range map[string]*rest.Config{
		"person": viewer, "the member itself": l.local(),
		"guest": headers(l.tcpConfig(t, certificate(t)), http.Header{"X-Remote-User": {"jane"}, "X-Remote-Group": {"ops"}}),
	} {
		t.Run("impersonation by "+name+" is refused", func(t *testing.T) {
			asking := rest.CopyConfig(asks)
			asking.Impersonate.UserName = "root"
			if _, err := bundlesOf(t, asking).List(t.Context(), metav1.ListOptions{}); !apierrors.IsBadRequest(err) {
				t.Error(err)
			}
		})
	}
}

func TestAKubeAPIServerThatIsNotKnownYetIsToComeAgain(t *testing.T) {
	var known atomic.Bool
	l := start(t, func(c *Config) {
		c.FrontProxy = clusterOfPeople(t)
		leaf, err := x509.ParseCertificate(c.FrontProxy.Certificate.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		c.FrontProxy.Certificate.Leaf, c.FrontProxy.Known = leaf, known.Load
	})
	client, err := rest.HTTPClientFor(headers(l.tcpConfig(t, certificate(t)), http.Header{"X-Remote-User": {"jane"}, "X-Remote-Group": {"ops"}}))
	if err != nil {
		t.Fatal(err)
	}
	ask := func() (code int, later string) {
		t.Helper()
		answer, err := client.Get("https://" + l.tcp + "/apis/fleet.hanse.dev/v1alpha1/bundles")
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		return answer.StatusCode, answer.Header.Get("Retry-After")
	}
	if code, later := ask(); code != http.StatusServiceUnavailable || later == "" {
		t.Errorf("answered %d, Retry-After %q", code, later)
	}
	known.Store(true)
	if code, _ := ask(); code != http.StatusOK {
		t.Errorf("answered %d", code)
	}
}

func TestAGuestsWatchGoesOn(t *testing.T) {
	l := start(t, func(c *Config) { c.FrontProxy = clusterOfPeople(t) })
	asking := bundlesOf(t, headers(l.tcpConfig(t, certificate(t)), http.Header{"X-Remote-User": {"jane"}, "X-Remote-Group": {"ops"}}))
	w, err := asking.Watch(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	l.put(t, v1alpha1.KeyBundles+"shop", v1alpha1.Bundle{
		TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.SchemeGroupVersion.String(), Kind: "Bundle"}, ObjectMeta: metav1.ObjectMeta{Name: "shop", UID: "u"},
	})
	if _, open := <-w.ResultChan(); !open {
		t.Error("the watch ended")
	}
}

func TestGuestsHaveTheGroupAlone(t *testing.T) {
	g := gate{roles: roles{endpoints: []Endpoint{{Path: "/hanse/v1/tokens", Role: v1alpha1.RoleViewer}}}, proxy: clusterOfPeople(t)}
	root := guest{Info: &user.DefaultInfo{Name: "root", Groups: []string{"ops"}}, cluster: "fra"}
	for what, want := range map[string]bool{
		"/apis": true, "/openapi/v3": true, "/readyz": true, "/hanse/v1/tokens": false,
		"bundles": true, "users": false, "rollouts": true, "bundles/status": false, "works": false,
	} {
		attr := request(v1alpha1.RoleViewer, what, "update").(authorizer.AttributesRecord)
		attr.User = root
		decision, reason, err := g.Authorize(t.Context(), attr)
		if got := decision == authorizer.DecisionAllow; got != want || err != nil {
			t.Errorf("%s: %v %q %v", what, got, reason, err)
		}
	}
}
