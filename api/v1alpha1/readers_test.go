package v1alpha1

import (
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestWhoMayHaveTheKeyOfAGroup(t *testing.T) {
	cluster := func(name, tier, recipient string) Candidate {
		return CandidateOf(&Cluster{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"tier": tier}}, Status: ClusterStatus{Recipient: recipient}})
	}
	clusters := []Candidate{cluster("sin", "prod", "S"), cluster("ams", "prod", "A"), cluster("fra", "dev", "F"), cluster("new", "prod", "")}
	prod := &metav1.LabelSelector{MatchLabels: map[string]string{"tier": "prod"}}
	for name, c := range map[string]struct {
		selector   *metav1.LabelSelector
		fleet, own []string
		want       []string // cluster/recipient
		wrong      bool
	}{
		"whom the selector picks, by name, and has a recipient": {prod, nil, nil, []string{"ams/A", "sin/S"}, false},
		"all":                    {&metav1.LabelSelector{}, nil, nil, []string{"ams/A", "fra/F", "sin/S"}, false},
		"without one, nobody":    {nil, nil, nil, nil, false},
		"people come first":      {prod, []string{"R"}, []string{"Q"}, []string{"/R", "/Q", "ams/A", "sin/S"}, false},
		"one that both name":     {nil, []string{"R"}, []string{"R"}, []string{"/R"}, false},
		"what cannot be read is": {&metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "tier", Operator: "Like"}}}, []string{"R"}, nil, nil, true},
	} {
		s := RecipientGroupSpec{ClusterSelector: c.selector, RecoveryRecipients: c.own}
		r, err := s.Readers(&FleetSpec{RecoveryRecipients: c.fleet}, clusters)
		var got []string
		for _, one := range r.All {
			got = append(got, one.Cluster+"/"+one.Recipient)
			if !r.Reads(one.Cluster, KeyID(one.Recipient)) || r.Reads(one.Cluster, KeyID("another")) {
				t.Errorf("%s: %q reads by another key than its own, or not by that", name, one.Cluster)
			}
			if one.Cluster != "" && (r.Recipient(one.Cluster) != one.Recipient || !r.Admits(one)) {
				t.Errorf("%s: %s is a reader by %q", name, one.Cluster, r.Recipient(one.Cluster))
			}
		}
		if !slices.Equal(got, c.want) || (err != nil) != c.wrong {
			t.Errorf("%s: %v, %v", name, got, err)
		}
		if r.Recipient("") != "" || r.Recipient("new") != "" || r.Reads("new", KeyID("")) || r.Reads("", KeyID("A")) {
			t.Errorf("%s: who is none is a reader", name)
		}
		if others := slices.ContainsFunc(c.want, func(one string) bool { return one[0] != '/' && one != "ams/A" }); r.Only("ams") == others {
			t.Errorf("%s: ams reads alone: %v", name, !others)
		}
	}
}

func TestWhoOfTheReadersHoldsAKey(t *testing.T) {
	var clusters []Candidate
	for _, name := range []string{"ams", "fra", "sin"} {
		clusters = append(clusters, CandidateOf(&Cluster{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: ClusterStatus{Recipient: "of " + name}}))
	}
	wrap := func(cluster, recipient string, epoch int64, text []byte) KeyWrap {
		return KeyWrap{Cluster: cluster, Key: KeyID(recipient), Epoch: epoch, Wrap: text}
	}
	some := []byte("wrapped")
	for name, c := range map[string]struct {
		wraps           []KeyWrap
		holders, beside []string // ams
	}{
		"none":                         {},
		"in the order of the names":    {[]KeyWrap{wrap("sin", "of sin", 2, some), wrap("ams", "of ams", 2, some)}, []string{"ams", "sin"}, []string{"sin"}},
		"each once":                    {[]KeyWrap{wrap("fra", "of fra", 1, some), wrap("fra", "of fra", 2, some)}, []string{"fra"}, []string{"fra"}},
		"one before":                   {[]KeyWrap{wrap("fra", "of fra", 1, some)}, nil, []string{"fra"}},
		"by a recipient that it lost":  {[]KeyWrap{wrap("fra", "lost", 2, some)}, nil, nil},
		"what opens for nobody":        {[]KeyWrap{wrap("fra", "of fra", 2, NoWrap)}, nil, nil},
		"who is of the group no more":  {[]KeyWrap{wrap("iad", "of iad", 2, some)}, nil, nil},
		"people are no clusters":       {[]KeyWrap{wrap("", "R", 2, some)}, nil, nil},
		"it is not beside itself":      {[]KeyWrap{wrap("ams", "of ams", 1, some)}, nil, nil},
		"it holds it, and nobody else": {[]KeyWrap{wrap("ams", "of ams", 2, some)}, []string{"ams"}, nil},
	} {
		g := &RecipientGroup{Spec: RecipientGroupSpec{ClusterSelector: &metav1.LabelSelector{}}, Status: RecipientGroupStatus{Epoch: 2, Wraps: c.wraps}}
		r, err := g.Spec.Readers(&FleetSpec{RecoveryRecipients: []string{"R"}}, clusters)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Holders(g); !slices.Equal(got, c.holders) {
			t.Errorf("%s: the holders are %v", name, got)
		}
		if got := r.HadBeside(g, "ams"); !slices.Equal(got, c.beside) {
			t.Errorf("%s: beside ams had one %v", name, got)
		}
	}
}
