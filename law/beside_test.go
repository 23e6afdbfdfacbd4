package law

import (
	"encoding/json"
	"fmt"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// bringing is a revision of a bundle that brings ConfigMaps of these names.
func bringing(t *testing.T, bundle string, dependsOn []string, names ...string) store.Op {
	t.Helper()
	r := v1alpha1.BundleRevision{Spec: v1alpha1.BundleRevisionSpec{Bundle: bundle}}
	r.Spec.DependsOn = dependsOn
	for _, name := range names {
		r.Spec.Manifests = append(r.Spec.Manifests, runtime.RawExtension{Raw: fmt.Appendf(nil, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":%q}}`, name)})
	}
	value, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return store.Put(v1alpha1.KeyBundleRevisions+bundle+"-1", value)
}

func TestABundleMindsOthersThatMayBringWhatItBrings(t *testing.T) {
	shop := store.Txn{Then: []store.Op{store.Put(v1alpha1.KeyBundles+"shop", []byte("{}")), bringing(t, "shop", nil, "web", "settings")}}
	many := make([]string, maxBeside+1)
	for i := range many {
		many[i] = fmt.Sprint("object-", i)
	}
	for name, c := range map[string]struct {
		txn         store.Txn
		other       store.Op
		indifferent bool
	}{
		"other objects":                       {shop, bringing(t, "cart", nil, "cart", "prices"), true},
		"other objects of one that depends":   {shop, bringing(t, "cart", []string{"shop"}, "cart"), true},
		"a longer name":                       {shop, bringing(t, "cart", nil, "webhook"), true},
		"one object of both":                  {shop, bringing(t, "cart", nil, "cart", "settings"), false},
		"a revision that was deleted":         {shop, store.Op{Key: v1alpha1.KeyBundleRevisions + "cart-1"}, true},
		"what is no revision":                 {shop, store.Put(v1alpha1.KeyGrants+"fra/cart", []byte("{}")), false},
		"this one depends on others":          {store.Txn{Then: []store.Op{bringing(t, "shop", []string{"cart"}, "web")}}, bringing(t, "cart", nil, "cart"), false},
		"this one brings too many to look at": {store.Txn{Then: []store.Op{bringing(t, "shop", nil, many...)}}, bringing(t, "cart", nil, "cart"), false},
		"this one is split":                   {store.Txn{Then: []store.Op{{Key: v1alpha1.KeyBundleRevisions + "shop-1", Chunks: []store.Hash{{}}}}}, bringing(t, "cart", nil, "cart"), false},
		"no bundle is written":                {store.Txn{Then: []store.Op{store.Put(v1alpha1.KeyGrants+"fra/shop", []byte("{}"))}}, bringing(t, "cart", nil, "cart"), false},
	} {
		now := store.KV{Key: c.other.Key, Value: c.other.Value}
		if got := (Authority{}).Indifferent(c.txn)(now); got != c.indifferent {
			t.Errorf("%s: %t", name, got)
		}
	}
}
