package aggregate

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/util/cache"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/client-go/rest"
)

// reviewing is a kube-apiserver that answers reviews, and a reviewer that asks it.
func reviewing(t *testing.T, answer func(http.ResponseWriter, *authorizationv1.SubjectAccessReview)) authorizer.Authorizer {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review authorizationv1.SubjectAccessReview
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
			t.Error(err)
		}
		answer(w, &review)
	}))
	t.Cleanup(server.Close)
	a, err := newReviewer(&rest.Config{Host: server.URL, ContentConfig: rest.ContentConfig{ContentType: "application/json"}})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func reply(t *testing.T, w http.ResponseWriter, r *authorizationv1.SubjectAccessReview, s authorizationv1.SubjectAccessReviewStatus) {
	t.Helper()
	r.Kind, r.APIVersion, r.Status = "SubjectAccessReview", "authorization.k8s.io/v1", s
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(r); err != nil {
		t.Error(err)
	}
}

func getting(name string) authorizer.AttributesRecord {
	return authorizer.AttributesRecord{
		User: &user.DefaultInfo{Name: "ann", UID: "u", Groups: []string{"ops"}, Extra: map[string][]string{"scopes": {"a"}}},
		Verb: "get", APIGroup: "fleet.hanse.dev", APIVersion: "v1alpha1", Resource: "bundles", Name: name, ResourceRequest: true,
	}
}

func TestAReviewIsAskedOnce(t *testing.T) {
	for name, row := range map[string]struct {
		status authorizationv1.SubjectAccessReviewStatus
		want   authorizer.Decision
	}{
		"allowed":         {authorizationv1.SubjectAccessReviewStatus{Allowed: true, Reason: "RBAC"}, authorizer.DecisionAllow},
		"not allowed":     {authorizationv1.SubjectAccessReviewStatus{Reason: "RBAC"}, authorizer.DecisionNoOpinion},
		"denied":          {authorizationv1.SubjectAccessReviewStatus{Denied: true, Reason: "RBAC"}, authorizer.DecisionDeny},
		"both, so denied": {authorizationv1.SubjectAccessReviewStatus{Allowed: true, Denied: true, Reason: "RBAC"}, authorizer.DecisionDeny},
	} {
		t.Run(name, func(t *testing.T) {
			var asked []authorizationv1.SubjectAccessReviewSpec
			a := reviewing(t, func(w http.ResponseWriter, r *authorizationv1.SubjectAccessReview) {
				asked = append(asked, r.Spec)
				reply(t, w, r, row.status)
			})
			for range 2 {
				if got, reason, err := a.Authorize(t.Context(), getting("shop")); got != row.want || reason != "RBAC" || err != nil {
					t.Errorf("got %v, %q, %v", got, reason, err)
				}
			}
			want := []authorizationv1.SubjectAccessReviewSpec{{
				User: "ann", UID: "u", Groups: []string{"ops"}, Extra: map[string]authorizationv1.ExtraValue{"scopes": {"a"}},
				ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: "get", Group: "fleet.hanse.dev", Version: "v1alpha1", Resource: "bundles", Name: "shop"},
			}}
			if diff := cmp.Diff(want, asked); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAPathIsReviewedAsAPath(t *testing.T) {
	a := reviewing(t, func(w http.ResponseWriter, r *authorizationv1.SubjectAccessReview) {
		allowed := r.Spec.ResourceAttributes == nil && cmp.Equal(r.Spec.NonResourceAttributes, &authorizationv1.NonResourceAttributes{Path: "/openapi/v3", Verb: "get"})
		reply(t, w, r, authorizationv1.SubjectAccessReviewStatus{Allowed: allowed})
	})
	path := authorizer.AttributesRecord{User: &user.DefaultInfo{Name: "ann"}, Verb: "get", Path: "/openapi/v3"}
	if got, _, err := a.Authorize(t.Context(), path); got != authorizer.DecisionAllow || err != nil {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestAClusterThatDoesNotAnswerIsAskedOnceMore(t *testing.T) {
	var asked atomic.Int32
	a := reviewing(t, func(w http.ResponseWriter, r *authorizationv1.SubjectAccessReview) {
		if asked.Add(1) == 1 {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		reply(t, w, r, authorizationv1.SubjectAccessReviewStatus{Allowed: true})
	})
	if got, _, err := a.Authorize(t.Context(), getting("shop")); got != authorizer.DecisionAllow || err != nil {
		t.Errorf("got %v, %v", got, err)
	}
	dead := reviewing(t, func(w http.ResponseWriter, _ *authorizationv1.SubjectAccessReview) {
		w.WriteHeader(http.StatusInternalServerError)
	})
	if got, _, err := dead.Authorize(t.Context(), getting("shop")); got != authorizer.DecisionNoOpinion || err == nil {
		t.Errorf("of one that never answers, got %v, %v", got, err)
	}
}

func TestWhatIsKeptOfReviewsIsBoundedInBytes(t *testing.T) {
	long := strings.Repeat("x", 64<<10)
	v := verdictOf(authorizationv1.SubjectAccessReviewStatus{Allowed: true, Reason: long})
	if len(v.reason) > maxReason {
		t.Errorf("a reason of %d bytes is kept", len(v.reason))
	}
	r := &reviewer{known: cache.NewLRUExpireCache(maxReviews)}
	for i := range maxReviews + 100 {
		key, err := digest(specOf(getting(long[:i])))
		if err != nil {
			t.Fatal(err)
		}
		r.known.Add(key, v, reviewTTL)
	}
	if n := len(r.known.Keys()); n > maxReviews {
		t.Errorf("%d answers are kept", n)
	}
}
