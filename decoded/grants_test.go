package decoded

import (
	"fmt"
	"testing"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/consensus/store/storetest"
)

// A grant that cannot be read is an error for as long as it grants something.
func TestWhatIsLeftOfAClusterIsNotRead(t *testing.T) {
	for _, there := range []bool{true, false} {
		values := map[string]any{
			v1alpha1.KeyClusters + "fra": v1alpha1.Cluster{}, v1alpha1.GrantKey("fra", "shop"): v1alpha1.Grant{},
			v1alpha1.GrantKey("iad", "shop"): "junk",
		}
		if there {
			values[v1alpha1.KeyClusters+"iad"] = v1alpha1.Cluster{}
		}
		grants, err := NewKinds().Standing(storetest.View(t, store.Member{ID: "m", Cluster: "fra", Pin: store.Pin{1}}, values))
		if (err != nil) != there || there == (len(grants) == 1) {
			t.Errorf("the cluster is there: %v, and %d grants stand: %v", there, len(grants), err)
		}
	}
}

func TestGrantsStandByClusterThatIsThere(t *testing.T) {
	clusters := []string{"a", "a-b", "a.b", "a0", "b"}
	for gone := range 1 << len(clusters) {
		values, want := map[string]any{}, 0
		for i, name := range clusters {
			if gone>>i&1 == 0 {
				values[v1alpha1.KeyClusters+name] = v1alpha1.Cluster{}
				want += i
			}
			for n := range i { // the first has none
				values[v1alpha1.GrantKey(name, fmt.Sprint("b-", n))] = v1alpha1.Grant{}
			}
		}
		v, k := storetest.View(t, store.Member{ID: "m", Cluster: "fra", Pin: store.Pin{1}}, values), NewKinds()
		grants, err := k.Standing(v)
		if err != nil || len(grants) != want {
			t.Errorf("of %05b there are %d grants, not %d: %v", gone, len(grants), want, err)
		}
		for _, o := range grants {
			cluster, _ := v1alpha1.CutGrantKey(o.Key)
			if _, there := v.Get(v1alpha1.KeyClusters + cluster); !there {
				t.Errorf("of %05b there is %s", gone, o.Key)
			}
		}
		if again, err := k.Standing(v); err != nil || gone == 0 && &again[0] != &grants[0] {
			t.Errorf("the same is another list each time: %v", err)
		}
	}
}
