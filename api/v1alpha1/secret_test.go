package v1alpha1

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// TestAKeyIsNotOldBeforeAnHour: whatever stands in the log, everything is not sealed again each minute.
func TestAKeyIsNotOldBeforeAnHour(t *testing.T) {
	begun := time.Unix(1e6, 0)
	g := &RecipientGroup{
		Spec:   RecipientGroupSpec{RotateAfter: &metav1.Duration{Duration: time.Minute}},
		Status: RecipientGroupStatus{Epoch: 1, Begun: &metav1.Time{Time: begun}},
	}
	for age, want := range map[time.Duration]string{MinRotateAfter - time.Second: "", MinRotateAfter: KeyIsOld} {
		if got := g.AnotherKey(func(string, string) bool { return true }, begun.Add(age)); got != want {
			t.Errorf("after %s: %q", age, got)
		}
	}
}

func TestTheLatestProvenKeyIsThatOfTheLatestWrap(t *testing.T) {
	key := KeyID("of fra")
	latest, first := KeyWrap{Cluster: "fra", Key: key, Epoch: 2, Wrap: []byte("2")}, KeyWrap{Cluster: "fra", Key: key, Epoch: 1, Wrap: []byte("1")}
	for _, wraps := range [][]KeyWrap{{first, latest}, {latest, first}} {
		g := &RecipientGroup{Status: RecipientGroupStatus{Epoch: 3, Wraps: wraps}}
		if wrap, epoch := g.ProvenWrap("fra", "of fra"); epoch != 2 || string(wrap) != "2" {
			t.Errorf("of %v it is %d", wraps, epoch)
		}
	}
}

func TestASecretIsInTheClustersOfItsGroupThatItPicks(t *testing.T) {
	labelled := func(names ...string) *metav1.LabelSelector {
		s := &metav1.LabelSelector{MatchLabels: map[string]string{}}
		for _, name := range names {
			s.MatchLabels[name] = "yes"
		}
		return s
	}
	without := &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "edge", Operator: metav1.LabelSelectorOpDoesNotExist}}}
	for name, c := range map[string]struct {
		group, own *metav1.LabelSelector
		want       string
	}{
		"without one, all of the group":      {labelled("eu"), nil, "ams fra"},
		"all that it picks, and no others":   {labelled("eu"), labelled("prod"), "fra"},
		"what it picks outside is not meant": {labelled("prod"), labelled("us"), "iad"},
		"one of two labels":                  {labelled("eu", "prod"), labelled("eu"), "fra"},
		"an expression":                      {labelled("eu"), without, "fra"},
		"of a group of all":                  {&metav1.LabelSelector{}, labelled("eu"), "ams fra"},
		"all of a group of all":              {&metav1.LabelSelector{}, &metav1.LabelSelector{}, "ams fra iad sin"},
		"of a group of nobody":               {nil, &metav1.LabelSelector{}, ""},
	} {
		s := &FleetSecret{Spec: FleetSecretSpec{ClusterSelector: c.own}}
		picks, err := metav1.LabelSelectorAsSelector(s.AsBundle(&RecipientGroup{Spec: RecipientGroupSpec{ClusterSelector: c.group}}).Spec.Placement.ClusterSelector)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, cluster := range []struct{ name, labels string }{{"ams", "eu=yes,edge=yes"}, {"fra", "eu=yes,prod=yes"}, {"iad", "us=yes,prod=yes"}, {"sin", ""}} {
			of, err := labels.ConvertSelectorToLabelsMap(cluster.labels)
			if err != nil {
				t.Fatal(err)
			}
			if picks.Matches(of) {
				got = append(got, cluster.name)
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v, not %s", name, got, c.want)
		}
	}
}
