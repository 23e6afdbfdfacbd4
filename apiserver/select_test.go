package apiserver

import (
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

func TestObjectsAreSelectedByTheFieldsThatPeopleAskFor(t *testing.T) {
	l := start(t, nil)
	ctx := t.Context()
	for _, name := range []string{"ann", "bob"} {
		l.user(t, name, map[string]v1alpha1.Role{"ann": v1alpha1.RoleAdmin, "bob": v1alpha1.RoleViewer}[name])
	}
	for name, region := range map[string]string{"fra": "eu", "iad": "us"} {
		rights, voter := v1alpha1.RightsOwnObjects, v1alpha1.RoleNonvoter
		if name == "fra" {
			rights, voter = v1alpha1.RightsAdmin, v1alpha1.RoleVoter
		}
		c := object("Cluster", name, map[string]any{"region": region, "zone": region + "-1", "voting": "Eligible", "rights": string(rights)})
		c.Object["status"] = map[string]any{"voter": string(voter)}
		l.put(t, v1alpha1.KeyClusters+name, c.Object)
	}
	ready, failed := work("shop", "fra", "r1"), work("shop", "iad", "")
	ready.Status.Health, failed.Status.Health = v1alpha1.HealthReady, v1alpha1.HealthFailed
	l.works.set(ready, failed)
	for _, row := range []struct{ plural, selector, want string }{
		{"clusters", "spec.region=us", "iad"},
		{"clusters", "spec.region!=us,spec.voting=Eligible", "fra"},
		{"clusters", "metadata.name=fra", "fra"},
		{"clusters", "spec.zone=us-1", "iad"},
		{"clusters", "spec.rights=Admin", "fra"},
		{"clusters", "status.voter=Voter", "fra"},
		{"works", "status.health=Failed", "shop.iad"},
		{"users", "spec.role=Viewer", "bob"},
		{"works", "spec.cluster=iad", "shop.iad"},
		{"rollouts", "status.phase=Running,spec.bundle=shop", ""},
		{"bundlerevisions", "spec.bundle=shop", ""},
	} {
		list, err := client(t, l.local(), row.plural).List(ctx, metav1.ListOptions{FieldSelector: row.selector})
		if err != nil {
			t.Errorf("%s by %s: %v", row.plural, row.selector, err)
			continue
		}
		var names []string
		for _, item := range list.Items {
			names = append(names, item.GetName())
		}
		if got := strings.Join(names, " "); got != row.want {
			t.Errorf("%s by %s: %q, want %q", row.plural, row.selector, got, row.want)
		}
	}
	_, err := client(t, l.local(), "clusters").List(ctx, metav1.ListOptions{FieldSelector: "spec.regio=us"})
	if !apierrors.IsBadRequest(err) || !strings.Contains(err.Error(), "spec.region") {
		t.Errorf("by a field that is none: %v", err)
	}
}

func TestAWatchFromWhatIsNoVersionIsABadRequest(t *testing.T) {
	l := start(t, nil)
	for _, plural := range []string{"bundles", "works"} {
		if _, err := client(t, l.local(), plural).Watch(t.Context(), metav1.ListOptions{ResourceVersion: "abc"}); !apierrors.IsBadRequest(err) {
			t.Errorf("%s: %v", plural, err)
		}
	}
}
