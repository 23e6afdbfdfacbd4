package agent

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/apiserver"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/consensus/store/storetest"
	"github.com/hanse-fleet/hanse/report"
)

// Whoever takes away who reads, by whatever, is told when only clusters are left that nobody hears. This member is of fra, and hears of no other.
func TestWhoLeavesSecretsToTheSilentIsTold(t *testing.T) {
	const person = "of a person"
	cluster := func(name, tier string) *v1alpha1.Cluster {
		return &v1alpha1.Cluster{TypeMeta: v1alpha1.TypeOf("Cluster"), ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"tier": tier}}, Status: v1alpha1.ClusterStatus{Recipient: "of " + name}}
	}
	group := func(tier string) *v1alpha1.RecipientGroup {
		g := &v1alpha1.RecipientGroup{TypeMeta: v1alpha1.TypeOf("RecipientGroup"), ObjectMeta: metav1.ObjectMeta{Name: "prod"}}
		g.Spec.ClusterSelector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "tier", Operator: metav1.LabelSelectorOpIn, Values: []string{"prod", tier}}}}
		g.Status = v1alpha1.RecipientGroupStatus{Epoch: 1}
		for _, name := range []string{"fra", "iad"} {
			g.Status.Wraps = append(g.Status.Wraps, v1alpha1.KeyWrap{Cluster: name, Key: v1alpha1.KeyID("of " + name), Epoch: 1, Wrap: []byte("wrapped")})
		}
		return g
	}
	held := func(g *v1alpha1.RecipientGroup) *v1alpha1.RecipientGroup {
		g.Status.Wraps = append(g.Status.Wraps[1:], v1alpha1.KeyWrap{Key: v1alpha1.KeyID(person), Epoch: 1, Wrap: []byte("wrapped"), By: "iad"})
		return g
	}
	fleet := &v1alpha1.Fleet{TypeMeta: v1alpha1.TypeOf("Fleet"), ObjectMeta: metav1.ObjectMeta{Name: "acme"}, Spec: v1alpha1.FleetSpec{RecoveryRecipients: []string{person}}}
	for name, c := range map[string]struct {
		group *v1alpha1.RecipientGroup
		key   string
		after any // nil: it is deleted
		told  bool
	}{
		"a label":                             {group("core"), v1alpha1.KeyClusters + "fra", cluster("fra", "edge"), true},
		"another label":                       {group("core"), v1alpha1.KeyClusters + "fra", cluster("fra", "prod"), false},
		"that of a silent one":                {group("core"), v1alpha1.KeyClusters + "iad", cluster("iad", "edge"), false},
		"a cluster goes":                      {group("core"), v1alpha1.KeyClusters + "fra", nil, true},
		"a silent one goes":                   {group("core"), v1alpha1.KeyClusters + "iad", nil, false},
		"a selector":                          {group("core"), v1alpha1.KeyRecipientGroups + "prod", group("prod"), true},
		"another group's":                     {group("core"), v1alpha1.KeyRecipientGroups + "others", group("prod"), false},
		"one that picks the same":             {group("core"), v1alpha1.KeyRecipientGroups + "prod", group("core"), false},
		"the fleet's recovery recipient goes": {held(group("core")), v1alpha1.KeyFleets + "acme", &v1alpha1.Fleet{}, true},
		"it stays":                            {held(group("core")), v1alpha1.KeyFleets + "acme", fleet, false},
		"one goes, and a recovery recipient reads": {held(group("core")), v1alpha1.KeyClusters + "fra", nil, false},
		"what has nothing to do with it":           {group("core"), v1alpha1.KeyFleetSecrets + "db", nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			fra := keyHolder(t, "fra")
			fra.reports = report.New(report.Config{Self: "m"})
			fra.reports.Beat(1, nil, time.Now())
			before := map[string]any{
				v1alpha1.KeyRecipientGroups + "prod": c.group, v1alpha1.KeyRecipientGroups + "others": &v1alpha1.RecipientGroup{ObjectMeta: metav1.ObjectMeta{Name: "others"}}, v1alpha1.KeyFleets + "acme": fleet,
				v1alpha1.KeyFleetSecrets + "db": &v1alpha1.FleetSecret{ObjectMeta: metav1.ObjectMeta{Name: "db"}, Spec: v1alpha1.FleetSecretSpec{Group: "prod"}},
			}
			for name, tier := range map[string]string{"fra": "core", "iad": "prod"} {
				before[v1alpha1.KeyClusters+name] = cluster(name, tier)
			}
			v := storetest.View(t, store.Member{ID: "m", Cluster: "fra", Pin: store.Pin{1}}, before)
			w := apiserver.Write{Key: c.key}
			kv, _ := v.Get(c.key)
			w.Before = kv.Value
			if c.after != nil {
				var err error
				if w.After, err = json.Marshal(c.after); err != nil {
					t.Fatal(err)
				}
			}
			said := strings.Join(fra.foretell(v, w), "\n")
			const want = "nobody holds the key of group prod then but iad, which nobody hears, and no recovery recipient: should that not come back, these secrets are lost: db"
			if said != want && c.told || said != "" && !c.told {
				t.Errorf("it is told: %q", said)
			}
		})
	}
}
