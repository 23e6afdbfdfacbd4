package apiserver

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	apirequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// guest is somebody of the member's own cluster, whom its kube-apiserver has authenticated and asks for. Name and groups
// are that cluster's, and mean something only there.
type guest struct {
	user.Info
	cluster string
}

// person is the guest's name in the log. It says whose cluster it is of, so no name is privileged elsewhere.
func (g guest) person() string { return v1alpha1.GuestName(g.cluster, g.GetName()) }

func isGuest(ctx context.Context) bool {
	u, _ := apirequest.UserFrom(ctx)
	_, is := u.(guest)
	return is
}

// gate decides what a request may do: for people of the fleet their role, for guests the rules of their own cluster.
type gate struct {
	roles roles
	proxy *FrontProxy
}

// Authorize implements authorizer.Authorizer.
func (g gate) Authorize(ctx context.Context, attr authorizer.Attributes) (authorizer.Decision, string, error) {
	asks, is := attr.GetUser().(guest)
	if !is {
		return g.roles.Authorize(ctx, attr)
	}
	if reason := refuseGuest(asks, attr); reason != "" {
		return authorizer.DecisionDeny, reason, nil
	}
	return g.proxy.Authorizer.Authorize(ctx, attr)
}

const (
	// maxName is Kubernetes' bound of a name. A cluster is not asked about longer ones.
	maxName = 253
	// maxGuest bounds the name that a cluster's own API gives somebody: a service account's has 337 bytes at most.
	maxGuest = 384
)

// refuseGuest says why a guest may not, whatever its cluster says; "" when that decides.
func refuseGuest(g guest, attr authorizer.Attributes) string {
	switch {
	case len(g.GetName()) > maxGuest:
		return fmt.Sprintf("the user's name has %d bytes, and what a fleet writes down of a cluster's user has %d at most; ask under a shorter one", len(g.GetName()), maxGuest)
	case !v1alpha1.Showable(g.GetName()):
		return "the user's name has characters that cannot be shown, and a fleet writes down who asks; ask under another"
	case max(len(attr.GetName()), len(attr.GetNamespace()), len(attr.GetResource()), len(attr.GetSubresource())) > maxName:
		return "no object has a name of more than 253 bytes"
	case !attr.IsResourceRequest():
		if !slices.ContainsFunc(slices.Concat(openPaths, knownPaths), under(attr.GetPath())) {
			return "the kube-apiserver passes on the group " + v1alpha1.GroupName + " alone"
		}
		return ""
	case attr.GetAPIGroup() != v1alpha1.GroupName:
		return onlyOurs
	case attr.GetResource() == "changes" && attr.GetSubresource() == "before" && !reads(attr.GetVerb()):
		return "what was before a change is for the fleet's own admins to strike off; use a kubeconfig that hanse kubeconfig prints"
	case attr.GetResource() == "users" && !reads(attr.GetVerb()):
		return "who is let into the fleet is for its own admins to say; use a kubeconfig that hanse kubeconfig prints"
	}
	return neverWritten(attr.GetResource(), attr.GetSubresource(), attr.GetVerb())
}

// notYet answers a kube-apiserver before the member knows that it is one, as after each start of the member. It would be a
// stranger, and a controller that asks through it would be told that it is forbidden what it may.
func (p *FrontProxy) notYet(h http.Handler, negotiated runtime.NegotiatedSerializer) http.Handler {
	if p == nil || p.Known == nil {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.Known() || !p.asked(r) {
			h.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Retry-After", "1")
		later := apierrors.NewServiceUnavailable("this member does not know yet how its cluster's kube-apiserver passes requests on; its log says why, if that lasts")
		responsewriters.ErrorNegotiated(later, negotiated, schema.GroupVersion{}, w, r)
	})
}

// asked says whether a request came to the name by which only a kube-apiserver asks.
func (p *FrontProxy) asked(r *http.Request) bool {
	return r.TLS != nil && r.TLS.ServerName != "" && p.Certificate.Leaf != nil && p.Certificate.Leaf.VerifyHostname(r.TLS.ServerName) == nil
}
