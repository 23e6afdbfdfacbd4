package aggregate

import (
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

var clusterRoles = rbacv1.SchemeGroupVersion.WithResource("clusterroles")

// roles are ClusterRoles for the cluster's own people, as the fleet's roles are for people with certificates. They
// are part of the cluster's view, edit and admin: whoever may do that there, in all namespaces, may do as much here.
func roles(owner string) []object {
	reads, all := []string{"get", "list", "watch"}, []string{"*"}
	// Everything but users: who is let into the fleet is for admins to see.
	visible := []string{"fleets", "clusters", "bundles", "bundlerevisions", "rollouts", "works", "clustermetrics", "changes", "changes/before", "recipientgroups", "fleetsecrets"}
	return []object{
		role("viewer", owner, []string{"view", "edit", "admin"}, fleetRule(reads, visible)),
		role("operator", owner, []string{"edit", "admin"}, fleetRule(reads, visible), fleetRule(all, []string{"bundles", "fleetsecrets"})),
		role("admin", owner, []string{"admin"}, fleetRule(all, []string{"*"})),
	}
}

func role(name, owner string, partOf []string, rules ...rbacv1.PolicyRule) object {
	labels := map[string]string{}
	for _, r := range partOf {
		labels["rbac.authorization.k8s.io/aggregate-to-"+r] = "true"
	}
	return newObject(clusterRoles, owner, &rbacv1.ClusterRole{
		TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "ClusterRole"},
		ObjectMeta: metav1.ObjectMeta{Name: "hanse:" + name, Labels: labels},
		Rules:      rules,
	})
}

func fleetRule(verbs, resources []string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{v1alpha1.GroupName}, Resources: resources, Verbs: verbs}
}
