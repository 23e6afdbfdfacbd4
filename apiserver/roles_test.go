package apiserver

import (
	"net/http"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

func TestRoles(t *testing.T) {
	const admin, operator, viewer, nobody = v1alpha1.RoleAdmin, v1alpha1.RoleOperator, v1alpha1.RoleViewer, v1alpha1.Role("")
	a := roles{endpoints: []Endpoint{{Path: "/hanse/v1/status", Role: viewer}, {Path: "/hanse/v1/tokens", Role: admin}}}
	for _, row := range []struct {
		what  string
		verbs string
		least v1alpha1.Role // "-" when nobody may
	}{
		{"fleets", "get list watch", viewer},
		{"fleets", "create update patch", admin},
		{"fleets", "delete deletecollection", "-"},
		{"clusters", "get list watch", viewer},
		{"clusters", "update patch delete", admin},
		{"clusters", "create deletecollection", "-"},
		{"clusters/status", "get", viewer},
		{"clusters/status", "update patch", "-"},
		{"users", "get list watch create update patch delete deletecollection", admin},
		{"bundles", "get list watch", viewer},
		{"bundles", "create update patch delete deletecollection", operator},
		{"bundles/status", "update patch", "-"},
		{"bundlerevisions", "get list watch", viewer},
		{"bundlerevisions", "create update patch delete deletecollection", "-"},
		{"rollouts", "get list watch", viewer},
		{"rollouts", "update patch", operator},
		{"rollouts", "create delete deletecollection", "-"},
		{"rollouts/status", "update patch", "-"},
		{"fleetsecrets", "get list watch", viewer},
		{"fleetsecrets", "create update patch delete deletecollection", operator},
		{"fleetsecrets/status", "update patch", "-"},
		{"recipientgroups", "get list watch", viewer},
		{"recipientgroups", "create update patch delete deletecollection", admin},
		{"recipientgroups/status", "update patch", "-"},
		{"works", "get list watch", viewer},
		{"works", "create update patch delete", "-"},
		{"clustermetrics", "get list watch", viewer},
		{"clustermetrics", "create update patch delete", "-"},
		{"changes", "get list watch", viewer},
		{"changes/before", "get", viewer},
		{"changes", "create update patch delete deletecollection", "-"},
		{"/version", "get", nobody},
		{"/readyz", "get", nobody},
		{"/livez/ping", "get", nobody},
		{"/apis", "get", viewer},
		{"/openapi/v3", "get", viewer},
		{"/hanse/v1/status", "get", viewer},
		{"/hanse/v1/tokens", "post", admin},
		{"/debug/pprof", "get", "-"},
		{"/versions", "get", "-"},
	} {
		for verb := range strings.FieldsSeq(row.verbs) {
			for _, role := range []v1alpha1.Role{nobody, viewer, operator, admin} {
				decision, reason, err := a.Authorize(t.Context(), request(role, row.what, verb))
				want := row.least != "-" && rank(role) >= rank(row.least)
				if got := decision == authorizer.DecisionAllow; got != want || err != nil || !got && !strings.ContainsAny(reason, ":;") { // what comes next stands behind it
					t.Errorf("%s of %s by %q: allowed %v, reason %q, %v", verb, row.what, role, got, reason, err)
				}
			}
		}
	}
}

// request is what the authorizer sees of a verb on a resource or a path.
func request(role v1alpha1.Role, what, verb string) authorizer.Attributes {
	r := authorizer.AttributesRecord{User: identity("ann", "", role), Verb: verb, Path: what}
	if !strings.HasPrefix(what, "/") {
		r.ResourceRequest, r.APIGroup = true, v1alpha1.GroupName
		r.Resource, r.Subresource, _ = strings.Cut(what, "/")
	}
	return r
}

func TestWhoIsNotPinnedSeesOnlyTheOpenPaths(t *testing.T) {
	l := start(t, func(c *Config) {
		c.Endpoints = []Endpoint{{Path: "/hanse/v1/status", Role: v1alpha1.RoleViewer, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write([]byte("for " + Asking(r.Context()).Person))
		})}}
	})
	stranger := l.tcpConfig(t, certificate(t))
	for path, want := range map[string]int{
		"/version": 200, "/healthz": 200, "/livez": 200, "/readyz": 200,
		"/apis": 403, "/openapi/v3": 403, "/hanse/v1/status": 403, "/apis/fleet.hanse.dev/v1alpha1/bundles": 403,
	} {
		resp, err := httpClient(t, stranger).Get(stranger.Host + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want || resp.ProtoMajor != 2 {
			t.Errorf("%s: %s by %s, want %d", path, resp.Status, resp.Proto, want)
		}
	}
	ann := l.user(t, "ann", v1alpha1.RoleViewer)
	resp, err := httpClient(t, ann).Get(ann.Host + "/hanse/v1/status")
	if err != nil || resp.StatusCode != 200 {
		t.Errorf("a viewer's status: %v %v", resp, err)
	}
}

func TestAUserThatIsDeletedIsNobody(t *testing.T) {
	l := start(t, nil)
	ctx := t.Context()
	bundles := client(t, l.user(t, "ann", v1alpha1.RoleOperator), "bundles")
	if _, err := bundles.List(ctx, metav1.ListOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := client(t, l.local(), "users").Delete(ctx, "ann", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := bundles.List(ctx, metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("list after the deletion, on the same connection: %v", err)
	}
}
