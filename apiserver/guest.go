package apiserver

import (
	"context"
	"slices"

	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	apirequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
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

// refuseGuest says why a guest may not, whatever its cluster says; "" when that decides.
func refuseGuest(g guest, attr authorizer.Attributes) string {
	switch {
	case len(g.person()) > store.MaxKey:
		return "its name is too long to be written down"
	case !attr.IsResourceRequest():
		if !slices.ContainsFunc(slices.Concat(openPaths, knownPaths), under(attr.GetPath())) {
			return "the kube-apiserver passes on the group " + v1alpha1.GroupName + " alone"
		}
		return ""
	case attr.GetAPIGroup() != v1alpha1.GroupName:
		return "a fleet serves the group " + v1alpha1.GroupName + " alone"
	case attr.GetResource() == "users" && !reads(attr.GetVerb()):
		return "who is let into the fleet is for its own admins to say; use a kubeconfig that hanse kubeconfig prints"
	}
	return neverWritten(attr.GetResource(), attr.GetSubresource(), attr.GetVerb())
}
