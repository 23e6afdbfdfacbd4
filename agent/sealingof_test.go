package agent

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/consensus/store/storetest"
)

func TestAMemberTellsWhatWasSealedAgainOfASecretAsItIsNow(t *testing.T) {
	s := v1alpha1.FleetSecret{}
	s.Name, s.UID, s.Generation = "db", "0815-4711", 3
	now := &v1alpha1.Sealing{Group: "readers", Found: 1, Epoch: 2, Data: []byte("again"), By: "fra"}
	before := &v1alpha1.Sealing{Group: "readers", Found: 1, Epoch: 2, Data: []byte("before"), By: "fra"}
	for name, c := range map[string]struct {
		values map[string]any
		want   v1alpha1.SecretSealing
		err    error
	}{
		"sealed again": {map[string]any{"/sealings/secret.db-0815-471-3": now, "/sealings/secret.db-0815-471-2": before}, v1alpha1.SecretSealing{BundleRevision: "secret.db-0815-471-3", Sealing: now}, nil},
		"told of its values": {map[string]any{"/sealings/secret.db-0815-471-3": &v1alpha1.Sealing{Group: "readers", Found: 1, Epoch: 2, Data: []byte("again"), By: "fra", Since: []map[string]int64{{"readers": 1}}}},
			v1alpha1.SecretSealing{BundleRevision: "secret.db-0815-471-3", Sealing: now}, nil},
		"an earlier one alone":     {map[string]any{"/sealings/secret.db-0815-471-2": before}, v1alpha1.SecretSealing{BundleRevision: "secret.db-0815-471-3"}, nil},
		"of a group that has gone": {map[string]any{"/sealings/secret.db-0815-471-3": now, v1alpha1.KeyRecipientGroups + "readers": nil}, v1alpha1.SecretSealing{BundleRevision: "secret.db-0815-471-3"}, nil},
		"no such secret":           {map[string]any{v1alpha1.KeyFleetSecrets + "db": nil}, v1alpha1.SecretSealing{}, errNoSecret},
	} {
		values := map[string]any{v1alpha1.KeyFleetSecrets + "db": s, v1alpha1.KeyRecipientGroups + "readers": v1alpha1.RecipientGroup{}}
		for key, value := range c.values {
			values[key] = value
			if value == nil {
				delete(values, key)
			}
		}
		v := storetest.View(t, store.Member{ID: "m", Cluster: "fra", Pin: store.Pin{1}}, values)
		told, err := sealingOfSecret(v, httptest.NewRequest(http.MethodGet, "/hanse/v1/sealing?secret=db", nil), nil)
		if !errors.Is(err, c.err) {
			t.Errorf("%s: %v", name, err)
		}
		if got, _ := told.(v1alpha1.SecretSealing); !cmp.Equal(got, c.want) {
			t.Errorf("%s: it tells %v", name, cmp.Diff(c.want, got))
		}
	}
}

// What is sealed again is as little secret as what is sealed, which viewers read.
func TestViewersAreToldWhatWasSealedAgain(t *testing.T) {
	for _, e := range keyHolder(t, "fra").endpoints(nil) {
		if e.Path == v1alpha1.PathSealing && e.Role == v1alpha1.RoleViewer {
			return
		}
	}
	t.Error("nobody is told")
}
