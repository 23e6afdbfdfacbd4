package plan

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

func TestWhoKeepsTheKeyOfAGroup(t *testing.T) {
	reader := func(name, tier, recipient string) *v1alpha1.Cluster {
		return &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"tier": tier}}, Status: v1alpha1.ClusterStatus{Recipient: recipient}}
	}
	fleet := []*v1alpha1.Cluster{reader("ams", "prod", "A"), reader("fra", "prod", "F"), reader("iad", "dev", "I"), reader("new", "prod", ""), reader("sin", "prod", "S")}
	wrap := func(cluster, recipient string, epoch int64) v1alpha1.KeyWrap {
		return v1alpha1.KeyWrap{Cluster: cluster, Key: v1alpha1.KeyID(recipient), Epoch: epoch, Wrap: []byte("wrapped")}
	}
	all := []KeyReader{{"ams", "A"}, {"fra", "F"}, {"sin", "S"}}
	for name, c := range map[string]struct {
		epoch int64
		wraps []v1alpha1.KeyWrap
		self  string
		away  string
		want  KeyDuty
	}{
		"the first of the group makes the key, for all of it that have a recipient": {0, nil, "ams", "", KeyDuty{Make: true, Wrap: all}},
		"a recovery recipient is given it, too":                                     {1, []v1alpha1.KeyWrap{wrap("ams", "A", 1), wrap("fra", "F", 1), wrap("sin", "S", 1), wrap("", "lost", 1)}, "ams", "recovery", KeyDuty{Wrap: []KeyReader{{"", "R"}}}},
		"the second waits for it":                                                   {0, nil, "fra", "", KeyDuty{Waits: true}},
		"and does it when the first is away":                                        {0, nil, "fra", "ams", KeyDuty{Make: true, Wrap: all}},
		"who is not of the group never does":                                        {0, nil, "iad", "ams", KeyDuty{Waits: true}},
		"the first that holds it wraps it for the others":                           {1, []v1alpha1.KeyWrap{wrap("fra", "F", 1)}, "fra", "", KeyDuty{Wrap: []KeyReader{{"ams", "A"}, {"sin", "S"}}}},
		"who does not hold it waits, the first by name too":                         {1, []v1alpha1.KeyWrap{wrap("fra", "F", 1)}, "ams", "", KeyDuty{Waits: true}},
		"with all wraps there is nothing to do":                                     {1, []v1alpha1.KeyWrap{wrap("ams", "A", 1), wrap("fra", "F", 1), wrap("sin", "S", 1)}, "ams", "", KeyDuty{}},
		"a wrap of an older key is none":                                            {2, []v1alpha1.KeyWrap{wrap("ams", "A", 2), wrap("fra", "F", 1), wrap("sin", "S", 2)}, "ams", "", KeyDuty{Wrap: []KeyReader{{"fra", "F"}}}},
		"nor one to a recipient that a cluster has no more":                         {1, []v1alpha1.KeyWrap{wrap("ams", "A", 1), wrap("fra", "lost", 1), wrap("sin", "S", 1)}, "ams", "", KeyDuty{Wrap: []KeyReader{{"fra", "F"}}}},
		"who held it and lost its own key makes no other one":                       {1, []v1alpha1.KeyWrap{wrap("ams", "lost", 1)}, "ams", "", KeyDuty{Waits: true}},
		"who left the group keeps nothing for those that stay":                      {1, []v1alpha1.KeyWrap{wrap("iad", "I", 1)}, "iad", "", KeyDuty{Waits: true}},
		"when the first holder is away, the next one that is in":                    {1, []v1alpha1.KeyWrap{wrap("ams", "A", 1), wrap("fra", "F", 1)}, "fra", "ams", KeyDuty{Wrap: []KeyReader{{"sin", "S"}}}},
	} {
		t.Run(name, func(t *testing.T) {
			g := &v1alpha1.RecipientGroup{Status: v1alpha1.RecipientGroupStatus{Epoch: c.epoch, Wraps: c.wraps},
				Spec: v1alpha1.RecipientGroupSpec{ClusterSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"tier": "prod"}}}}
			if c.away == "recovery" {
				g.Spec.RecoveryRecipients = []string{"R"}
			}
			got, err := Keys(g, fleet, c.self, func(cluster string) bool { return cluster != c.away })
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAGroupThatMayBeLostIsTold(t *testing.T) {
	cluster := func(name string) *v1alpha1.Cluster {
		return &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: v1alpha1.ClusterStatus{Recipient: "of " + name}}
	}
	held := func(by ...string) (wraps []v1alpha1.KeyWrap) {
		for _, name := range by {
			wraps = append(wraps, v1alpha1.KeyWrap{Cluster: name, Key: v1alpha1.KeyID("of " + name), Epoch: 1, Wrap: []byte("wrapped")})
		}
		return wraps
	}
	for name, c := range map[string]struct {
		epoch    int64
		wraps    []v1alpha1.KeyWrap
		recovery []string
		away     bool
		want     string
	}{
		"two hold the key":                      {1, held("fra", "iad"), nil, false, ""},
		"one does, and a person":                {1, held("fra"), []string{"R"}, false, ""},
		"one does, and nobody else":             {1, held("fra"), nil, false, "only one cluster holds the key of group g"},
		"nobody has made it":                    {0, nil, []string{"R"}, false, "group g has no key yet"},
		"all that hold it are away":             {1, held("fra", "iad"), nil, true, "nobody else can open"},
		"all are away, and there is a person":   {1, held("fra", "iad"), []string{"R"}, true, "with a recovery key"},
		"those that hold it are picked no more": {1, held("fra", "iad"), nil, false, "nobody else can open"},
		"who held it is in the fleet no more":   {1, held("gone"), nil, false, "nobody else can open"},
	} {
		g := &v1alpha1.RecipientGroup{ObjectMeta: metav1.ObjectMeta{Name: "g"}, Status: v1alpha1.RecipientGroupStatus{Epoch: c.epoch, Wraps: c.wraps}}
		g.Spec.RecoveryRecipients, g.Spec.ClusterSelector = c.recovery, &metav1.LabelSelector{}
		if strings.Contains(name, "picked") {
			g.Spec.ClusterSelector.MatchLabels = map[string]string{"tier": "moon"}
		}
		got := GroupAtRisk(g, []*v1alpha1.Cluster{cluster("fra"), cluster("iad")}, func(string) bool { return !c.away })
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q", name, got)
		}
	}
}
