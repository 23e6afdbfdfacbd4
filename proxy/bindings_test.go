package proxy

import (
	"errors"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

func TestABindingIsKeptUnlessItIsAnothersOrTheClusterSaysNo(t *testing.T) {
	wanted := binding("acme", "sin", v1alpha1.RoleViewer)
	changed := func(change func(*rbacv1.ClusterRoleBinding)) *rbacv1.ClusterRoleBinding {
		b := wanted.DeepCopy()
		change(b)
		return b
	}
	cases := map[string]struct {
		found *rbacv1.ClusterRoleBinding
		want  act
		err   error
	}{
		"none":              {nil, createIt, nil},
		"as it should be":   {wanted, leaveIt, nil},
		"without subjects":  {changed(func(b *rbacv1.ClusterRoleBinding) { b.Subjects = nil }), updateIt, nil},
		"with another role": {changed(func(b *rbacv1.ClusterRoleBinding) { b.RoleRef.Name = "cluster-admin" }), replaceIt, nil},
		"without subjects, and the cluster says that it stays so": {changed(func(b *rbacv1.ClusterRoleBinding) {
			b.Subjects, b.Annotations[rbacv1.AutoUpdateAnnotationKey] = nil, "false"
		}), leaveIt, nil},
		"another member's": {binding("acme", "fra", v1alpha1.RoleViewer), leaveIt, errForeign},
		"nobody's":         {changed(func(b *rbacv1.ClusterRoleBinding) { b.Annotations = nil }), leaveIt, errForeign},
	}
	for name, c := range cases {
		if got, err := decide(c.found, wanted); got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s: %v, %v instead of %v, %v", name, got, err, c.want, c.err)
		}
	}
}
