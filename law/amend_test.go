package law

import (
	"testing"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

func TestAmendKeepsWhatOnlyALaterVersionKnows(t *testing.T) {
	kv := store.KV{Key: "/clusters/x", Value: []byte(`{"kind":"Cluster","later":1,"metadata":{"name":"x"},"spec":{"region":"r","later":[20000000000000001]},"status":{"server":"s","version":"v1","later":{"a":3}}}`)}
	before := v1alpha1.Cluster{Spec: v1alpha1.ClusterSpec{Region: "r"}, Status: v1alpha1.ClusterStatus{Server: "s", Version: "v1"}}
	before.Kind, before.Name = "Cluster", "x"
	after := before
	after.Status = v1alpha1.ClusterStatus{Version: "v2", Voter: v1alpha1.RoleVoter}
	op, err := Amend(kv, before, after)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"kind":"Cluster","later":1,"metadata":{"name":"x"},"spec":{"region":"r","later":[20000000000000001]},"status":{"later":{"a":3},"version":"v2","voter":"Voter"}}`
	if string(op.Value) != want {
		t.Errorf("got  %s\nwant %s", op.Value, want)
	}
}
