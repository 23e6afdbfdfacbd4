package law

import (
	"strings"
	"testing"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// A guest came through its cluster's own API: it has the rights of its member, lets nobody into the fleet, and is nobody
// elsewhere.
func TestGuestsHaveTheirMembersRightsAndLetNobodyIn(t *testing.T) {
	r := newRealm(t)
	fleet := r.put(v1alpha1.KeyFleets+"acme", &v1alpha1.Fleet{TypeMeta: v1alpha1.TypeOf("Fleet"), ObjectMeta: named("acme")})
	user := r.put(v1alpha1.KeyUsers+"mallory", &v1alpha1.User{TypeMeta: v1alpha1.TypeOf("User"), ObjectMeta: named("mallory"), Spec: v1alpha1.UserSpec{Role: v1alpha1.RoleAdmin}})
	for _, tt := range []struct {
		name, member, person string
		op                   store.Op
		refused              string // "" when it is not
	}{
		{"an admin lets a person in", "id-fra", "anna", user, ""},
		{"a guest does not", "id-fra", "hanse:fra:root", user, "may not"},
		{"nor takes one out", "id-fra", "hanse:fra:root", store.Delete(v1alpha1.KeyUsers + "otto"), "may not"},
		{"nor makes a token", "id-fra", "hanse:fra:root", store.Put(KeyTokens+"t", []byte("{}")), "may not"},
		{"a guest of a cluster with all rights writes the fleet", "id-fra", "hanse:fra:root", fleet, ""},
		{"one of a cluster with fewer does not", "id-iad", "hanse:iad:root", fleet, "may not"},
		{"one of another cluster is nobody", "id-fra", "hanse:iad:root", fleet, "there is no user"},
	} {
		err := r.try(store.MemberID(tt.member), tt.person, 0, tt.op)
		if (err == nil) != (tt.refused == "") || err != nil && !strings.Contains(err.Error(), tt.refused) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}
