package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/apiserver"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/consensus/store/storetest"
	"github.com/hanse-fleet/hanse/decoded"
	"github.com/hanse-fleet/hanse/plan"
	"github.com/hanse-fleet/hanse/report"
)

// claiming is a bundle of ConfigMaps in the clusters of a region.
func claiming(name, region string, configs ...string) v1alpha1.Bundle {
	b := v1alpha1.Bundle{TypeMeta: metav1.TypeMeta{Kind: "Bundle", APIVersion: v1alpha1.SchemeGroupVersion.String()}}
	b.Name, b.UID, b.Generation = name, "u1", 1
	b.Spec.Placement.ClusterSelector = &metav1.LabelSelector{MatchLabels: map[string]string{v1alpha1.LabelRegion: region}}
	for _, config := range configs {
		b.Spec.Manifests = append(b.Spec.Manifests, runtime.RawExtension{Raw: fmt.Appendf(nil,
			`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":%q,"namespace":"shop"}}`, config)})
	}
	return b
}

// overriding is a bundle with so many expressions that come to 2 KiB each in a cluster of the region eu.
func overriding(b v1alpha1.Bundle, n int) v1alpha1.Bundle {
	var o v1alpha1.Override
	for i := range n {
		expression := fmt.Sprintf(`${%s + cluster.region + "%d"}`, `"`+strings.Repeat("0123456789", 200)+`"`, i)
		o.Images = append(o.Images, v1alpha1.ImageOverride{Tag: expression})
	}
	b.Spec.Overrides = []v1alpha1.Override{o}
	return b
}

func TestTwoBundlesThatBringOneObjectIntoOneClusterAreRefused(t *testing.T) {
	member := store.Member{ID: "11111111-1111-4111-8111-111111111111", Cluster: "fra", Region: "eu", Pin: store.Pin{1}}
	cluster := func(name, region string) v1alpha1.Cluster {
		return v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{v1alpha1.LabelRegion: region}}}
	}
	dependent := func(name string, on ...string) v1alpha1.Bundle {
		b := claiming(name, "eu", "of-"+name)
		b.Spec.DependsOn = on
		return b
	}
	web := claiming("web", "eu", "old")
	web.Spec.DependsOn = []string{"base"}
	// shop and web were let in before, and meet in "old".
	v := storetest.View(t, member, map[string]any{
		v1alpha1.KeyClusters + "fra": cluster("fra", "eu"), v1alpha1.KeyClusters + "par": cluster("par", "eu"), v1alpha1.KeyClusters + "nyc": cluster("nyc", "us"),
		v1alpha1.KeyBundles + "shop": claiming("shop", "eu", "old", "settings"), v1alpha1.KeyBundles + "web": web,
	})
	c := &Core{decoded: decoded.NewKinds(), reports: report.New(report.Config{Self: member.ID}), now: time.Now}
	c.claims = newClaims(c)
	for name, w := range map[string]struct {
		bundle  v1alpha1.Bundle
		refused string
		expects int
	}{
		"the same object in the same clusters": {claiming("new", "eu", "other", "settings"),
			`bundle new and bundle shop would both bring configmap shop/settings into fra, par; take it out of one of the two`, 0},
		"the same object in other clusters":          {claiming("new", "us", "settings"), "", 1},
		"other objects":                              {claiming("new", "eu", "other"), "", 1},
		"a bundle does not contest with itself":      {claiming("shop", "eu", "settings"), "", 1},
		"what it brought before, as it did":          {web, "", 0},
		"an object more is looked at with the rest":  {claiming("web", "eu", "old", "more"), "bundle web and bundle shop would both bring", 0},
		"another placement too":                      {claiming("shop", "us", "old", "settings"), "", 1},
		"what comes round to itself":                 {dependent("base", "web"), "spec.dependsOn: Forbidden: each of these would wait for the next, and none would ever begin: base → web → base", 0},
		"what depends on others":                     {dependent("new", "web", "base"), "", 1},
		"a bundle that brings nothing meets nothing": {claiming("new", "eu"), "", 1},
		"overrides that fit no grant":                {overriding(claiming("new", "eu"), 40), "spec.overrides: Forbidden: what its 40 expressions come to in fra is 78 KiB, and a cluster is given 64 KiB at most; divide the bundle", 0},
		"overrides that fit one":                     {overriding(claiming("new", "eu"), 20), "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			after, err := json.Marshal(w.bundle)
			if err != nil {
				t.Fatal(err)
			}
			conditions, err := c.claims.check(v, apiserver.Write{Key: v1alpha1.KeyBundles + w.bundle.Name, After: after})
			switch {
			case w.refused == "" && err != nil:
				t.Fatal(err)
			case w.refused != "" && (!apierrors.IsInvalid(err) || !strings.Contains(err.Error(), w.refused)):
				t.Errorf("%v", err)
			}
			if len(conditions) != w.expects {
				t.Errorf("it holds while %v", conditions)
			}
		})
	}
	if conditions, err := c.claims.check(v, apiserver.Write{Key: v1alpha1.KeyBundles + "shop", Before: []byte("{}")}); err != nil || conditions != nil {
		t.Errorf("a bundle that goes claims nothing: %v, %v", conditions, err)
	}
}

// Another selector of a group takes its secrets elsewhere, where a bundle, or another secret, may bring the same Secret.
func TestASelectorThatBringsTwoIntoOneClusterIsRefused(t *testing.T) {
	member := store.Member{ID: "11111111-1111-4111-8111-111111111111", Cluster: "fra", Region: "eu", Pin: store.Pin{1}}
	cluster := func(name, region string) v1alpha1.Cluster {
		return v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{v1alpha1.LabelRegion: region}}}
	}
	secret := func(name, group, target string) v1alpha1.FleetSecret {
		s := v1alpha1.FleetSecret{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name), Generation: 1}}
		s.Spec.Group, s.Spec.Namespace, s.Spec.SecretName = group, "shop", target
		return s
	}
	group := func(name, region string) v1alpha1.RecipientGroup {
		g := v1alpha1.RecipientGroup{ObjectMeta: metav1.ObjectMeta{Name: name}}
		g.Spec.ClusterSelector = &metav1.LabelSelector{MatchLabels: map[string]string{v1alpha1.LabelRegion: region}}
		return g
	}
	shop := claiming("shop", "us")
	shop.Spec.Manifests = []runtime.RawExtension{{Raw: []byte(`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"login","namespace":"shop"}}`)}}
	v := storetest.View(t, member, map[string]any{
		v1alpha1.KeyClusters + "fra": cluster("fra", "eu"), v1alpha1.KeyClusters + "nyc": cluster("nyc", "us"), v1alpha1.KeyClusters + "sin": cluster("sin", "ap"),
		v1alpha1.KeyBundles + "shop": shop, v1alpha1.KeyRecipientGroups + "readers": group("readers", "eu"), v1alpha1.KeyRecipientGroups + "none": group("none", "nowhere"),
		v1alpha1.KeyFleetSecrets + "db": secret("db", "readers", "login"), v1alpha1.KeyFleetSecrets + "key": secret("key", "readers", "key"),
		v1alpha1.KeyFleetSecrets + "one": secret("one", "none", "twin"), v1alpha1.KeyFleetSecrets + "two": secret("two", "none", "twin"),
	})
	c := &Core{decoded: decoded.NewKinds(), reports: report.New(report.Config{Self: member.ID}), now: time.Now}
	c.claims = newClaims(c)
	for name, w := range map[string]struct {
		group   v1alpha1.RecipientGroup
		refused string
		expects int
	}{
		"where a bundle brings the Secret":     {group("readers", "us"), "spec.clusterSelector: Forbidden: secret db and bundle shop would both bring secret shop/login into nyc", 0},
		"where nobody does":                    {group("readers", "ap"), "", 2},
		"as it was":                            {group("readers", "eu"), "", 0},
		"where two of its own secrets are one": {group("none", "ap"), "secret one and secret two would both bring secret shop/twin into sin", 0},
	} {
		t.Run(name, func(t *testing.T) {
			after, err := json.Marshal(w.group)
			if err != nil {
				t.Fatal(err)
			}
			conditions, err := c.claims.check(v, apiserver.Write{Key: v1alpha1.KeyRecipientGroups + w.group.Name, After: after})
			if (err != nil) != (w.refused != "") || err != nil && !strings.Contains(err.Error(), w.refused) || len(conditions) != w.expects {
				t.Errorf("%v, it holds while %v", err, conditions)
			}
		})
	}
}

// What is written where a group goes holds only while the group goes there: else two could bring one Secret into one cluster of which neither
// write saw the other.
func TestAWriteHoldsWhileTheGroupsGoWhereTheyWere(t *testing.T) {
	group := func(name, region string) v1alpha1.RecipientGroup {
		g := v1alpha1.RecipientGroup{ObjectMeta: metav1.ObjectMeta{Name: name}}
		g.Spec.ClusterSelector = &metav1.LabelSelector{MatchLabels: map[string]string{v1alpha1.LabelRegion: region}}
		return g
	}
	secret := func(name, group, target string) v1alpha1.FleetSecret {
		s := v1alpha1.FleetSecret{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name), Generation: 1}}
		s.Spec.Group, s.Spec.Namespace, s.Spec.SecretName = group, "shop", target
		return s
	}
	shop := claiming("shop", "us")
	shop.Spec.Manifests = []runtime.RawExtension{{Raw: []byte(`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"login","namespace":"shop"}}`)}}
	for name, tt := range map[string]struct {
		key       string
		written   any
		meanwhile v1alpha1.RecipientGroup
		overtaken bool
	}{
		"a new secret, and its group":                  {v1alpha1.KeyFleetSecrets + "new", secret("new", "readers", "new"), group("readers", "us"), true},
		"a new secret, and another group":              {v1alpha1.KeyFleetSecrets + "new", secret("new", "readers", "new"), group("others", "us"), false},
		"a new secret, and its rival's group":          {v1alpha1.KeyFleetSecrets + "new", secret("new", "others", "login"), group("readers", "ap"), true},
		"a secret that goes over to a group":           {v1alpha1.KeyFleetSecrets + "db", secret("db", "alike", "login"), group("alike", "us"), true},
		"a secret that stays, and its group":           {v1alpha1.KeyFleetSecrets + "db", secret("db", "readers", "login"), group("readers", "us"), false},
		"a bundle, and the group of its rival":         {v1alpha1.KeyBundles + "shop", shop, group("readers", "us"), true},
		"a bundle, and a group of which it meets none": {v1alpha1.KeyBundles + "shop", shop, group("others", "us"), false},
	} {
		t.Run(name, func(t *testing.T) {
			l := &log{T: t, Store: store.New(nil)}
			for _, g := range []v1alpha1.RecipientGroup{group("readers", "eu"), group("alike", "eu"), group("others", "ap")} {
				l.put(v1alpha1.KeyRecipientGroups+g.Name, &g)
			}
			l.put(v1alpha1.KeyFleetSecrets+"db", secret("db", "readers", "login"))
			c := &Core{decoded: decoded.NewKinds(), reports: report.New(report.Config{Self: "m"}), now: time.Now}
			c.claims = newClaims(c)
			after, err := json.Marshal(tt.written)
			if err != nil {
				t.Fatal(err)
			}
			conditions, err := c.claims.check(l.View(), apiserver.Write{Key: tt.key, After: after})
			if err != nil {
				t.Fatal(err)
			}
			l.put(v1alpha1.KeyRecipientGroups+tt.meanwhile.Name, &tt.meanwhile)
			err = l.apply(store.Txn{If: conditions, Then: []store.Op{store.Put(tt.key, after)}})
			if errors.As(err, new(*store.Conflict)) != tt.overtaken || err != nil && !tt.overtaken {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestWhoseClaimsMeet writes and deletes bundles: who meets whom is the same for who followed all that and for who begins now.
func TestWhoseClaimsMeet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		st, followed := store.New(nil), &claims{}
		configs := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", "d"}), 0, 4)
		for index := range rapid.Uint64Range(1, 20).Draw(t, "writes") {
			b := claiming(rapid.SampledFrom([]string{"shop", "web", "base"}).Draw(t, "bundle"), "eu", configs.Draw(t, "configs")...)
			b.UID, b.Generation = types.UID(rapid.SampledFrom([]string{"u1", "u2"}).Draw(t, "uid")), int64(index)
			value, err := json.Marshal(b)
			if err != nil {
				t.Fatal(err)
			}
			op := store.Put(v1alpha1.KeyBundles+b.Name, value)
			if rapid.IntRange(0, 3).Draw(t, "delete") == 0 {
				op = store.Delete(op.Key)
			}
			storetest.Apply(t, st, index+1, storetest.Entry(t, "", op))
			if rapid.Bool().Draw(t, "unseen") {
				continue
			}
			fresh := &claims{}
			if err := errors.Join(followed.follow(st.View()), fresh.follow(st.View())); err != nil {
				t.Fatal(err)
			}
			mine := plan.ClaimsOf(brings(claiming("mine", "eu", configs.Draw(t, "mine")...).Spec.Manifests))
			if got, want := followed.meet(mine), fresh.meet(mine); !slices.Equal(got, want) {
				t.Fatalf("%v meet it, not %v", got, want)
			}
			if len(followed.by) != len(fresh.by) {
				t.Fatalf("%d objects are claimed, not %d", len(followed.by), len(fresh.by))
			}
		}
	})
}

// What a write of a bundle costs beside 100 others of the same object that are placed elsewhere, in a fleet of 100 clusters.
func BenchmarkClaimsOfABundleWithAHundredRivals(b *testing.B) {
	member := store.Member{ID: "11111111-1111-4111-8111-111111111111", Cluster: "c0", Region: "eu", Pin: store.Pin{1}}
	values := map[string]any{}
	for i := range 100 {
		region := []string{"eu", "us"}[i%2]
		name := fmt.Sprintf("c%d", i)
		values[v1alpha1.KeyClusters+name] = v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{v1alpha1.LabelRegion: region}}}
		rival := fmt.Sprintf("rival%d", i)
		values[v1alpha1.KeyBundles+rival] = claiming(rival, "eu", "settings")
		for j := 0; j < 100; j += 2 {
			values[v1alpha1.GrantKey(fmt.Sprintf("c%d", j), rival)] = v1alpha1.Grant{Bundle: rival, BundleUID: "u1", Revision: rival + "-u1-1"}
		}
	}
	v := storetest.View(b, member, values)
	c := &Core{decoded: decoded.NewKinds(), reports: report.New(report.Config{Self: member.ID}), now: time.Now}
	c.claims = newClaims(c)
	after, err := json.Marshal(claiming("new", "us", "settings"))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := c.claims.check(v, apiserver.Write{Key: v1alpha1.KeyBundles + "new", After: after}); err != nil {
			b.Fatal(err)
		}
	}
}
