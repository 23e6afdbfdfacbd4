package apiserver

import (
	"context"
	"slices"
	"strings"

	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// rank orders the roles; 0 is no role.
func rank(r v1alpha1.Role) int {
	return 1 + slices.Index([]v1alpha1.Role{v1alpha1.RoleViewer, v1alpha1.RoleOperator, v1alpha1.RoleAdmin}, r)
}

// roles decides by the asker's role what a request may do. It is the first of two checks: the store makes its own
// when a write is applied, on every member alike.
type roles struct {
	endpoints []Endpoint
}

// openPaths answer anyone, so that a load balancer and a curious kubectl need no certificate.
var openPaths = []string{"/healthz", "/livez", "/readyz", "/version"}

// knownPaths answer whoever has a role: discovery and OpenAPI.
var knownPaths = []string{"/api", "/apis", "/openapi"}

// Authorize implements authorizer.Authorizer.
func (a roles) Authorize(_ context.Context, attr authorizer.Attributes) (authorizer.Decision, string, error) {
	role := roleOf(attr.GetUser())
	reason := a.refuse(role, attr)
	if reason == "" {
		return authorizer.DecisionAllow, "", nil
	}
	return authorizer.DecisionDeny, reason, nil
}

func (a roles) refuse(role v1alpha1.Role, attr authorizer.Attributes) string {
	switch {
	case !attr.IsResourceRequest():
		return a.refusePath(role, attr.GetPath())
	case rank(role) == 0:
		return noRole
	case attr.GetAPIGroup() != v1alpha1.GroupName:
		return onlyOurs
	}
	if reason := neverWritten(attr.GetResource(), attr.GetSubresource(), attr.GetVerb()); reason != "" {
		return reason
	}
	if need := needed(attr.GetResource(), attr.GetVerb()); rank(role) < rank(need) {
		return lacks(role, need)
	}
	return ""
}

const noRole = "no user of the fleet has this certificate's pin; ask an admin for one: hanse user create"

// lacks says that a role of the fleet is too little, and who can help.
func lacks(role, need v1alpha1.Role) string {
	return "it needs role " + string(need) + " in the fleet, and yours is " + string(role) + "; ask an admin of the fleet, who may also change your role: kubectl edit users." + v1alpha1.GroupName
}

func (a roles) refusePath(role v1alpha1.Role, path string) string {
	if slices.ContainsFunc(openPaths, under(path)) {
		return ""
	}
	if rank(role) == 0 {
		return noRole
	}
	if slices.ContainsFunc(knownPaths, under(path)) {
		return ""
	}
	for _, e := range a.endpoints {
		if e.serves(path) {
			if rank(role) < rank(e.Role) {
				return lacks(role, e.Role)
			}
			return ""
		}
	}
	return "a member serves nothing there; hanse help says what it does"
}

func under(path string) func(string) bool {
	return func(top string) bool { return path == top || strings.HasPrefix(path, top+"/") }
}

func reads(verb string) bool { return verb == "get" || verb == "list" || verb == "watch" }

// needed is the least role for a verb on a resource.
func needed(resource, verb string) v1alpha1.Role {
	switch {
	case resource == "users":
		return v1alpha1.RoleAdmin
	case reads(verb):
		return v1alpha1.RoleViewer
	case resource == "bundles", resource == "rollouts", resource == "fleetsecrets":
		return v1alpha1.RoleOperator
	}
	return v1alpha1.RoleAdmin
}

// neverWritten says why nobody, whatever the role, writes this; "" when somebody may.
func neverWritten(resource, subresource, verb string) string {
	switch {
	case reads(verb):
		return ""
	case subresource == "status":
		return "status is written by the members, never by people; change the spec"
	case resource == "works":
		return "works are computed from bundles and from what clusters report; change the bundle: kubectl edit bundle"
	case resource == "clustermetrics":
		return "metrics of clusters are computed from what their members measure; there is nothing to change"
	case resource == "changes" && subresource == "before" && verb == "delete":
		return "" // what was before goes; that it was changed stays
	case resource == "changes":
		return "changes are written with what they tell of, and never change; what was before one is struck off by: hanse history KIND/NAME --forget A..B"
	case resource == "bundlerevisions":
		return "revisions are written with their bundle and never change; change the bundle: kubectl edit bundle"
	case resource == "rollouts" && verb != "update" && verb != "patch":
		return "rollouts are made by the leader; change the bundle: kubectl edit bundle"
	case resource == "clusters" && verb == "create":
		return joinHint
	case resource == "clusters" && verb == "deletecollection":
		return "clusters are removed one by one: hanse remove CLUSTER"
	case resource == "fleets" && (verb == "delete" || verb == "deletecollection"):
		return "a fleet keeps its settings as long as it lives; change them: kubectl edit fleet"
	}
	return ""
}

// onlyOurs is for those who ask a member for another API.
const onlyOurs = "a fleet serves the group " + v1alpha1.GroupName + " alone; what is in clusters: hanse kubectl --cluster NAME -- …"

const joinHint = "clusters join: hanse token create"
