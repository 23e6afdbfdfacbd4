package epoch

import (
	"encoding/json"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/law"
)

// reading refuses a new cluster that would read what is sealed for a group by a region or a zone that it says of itself: who reads, only admins say.
// What the token says, an admin has said.
func reading(v *store.View, token, terms law.Terms) error {
	said := map[string]string{}
	if token.Region == "" {
		said[v1alpha1.LabelRegion] = flag("region", terms.Region)
	}
	if token.Zone == "" {
		said[v1alpha1.LabelZone] = flag("zone", terms.Zone)
	}
	c := NewCluster(metav1.ObjectMeta{}, terms, store.Member{}, "")
	for kv := range v.Iterate(v1alpha1.KeyRecipientGroups, "") {
		var g v1alpha1.RecipientGroup
		if json.Unmarshal(kv.Value, &g) != nil {
			continue // nobody is picked by it
		}
		selector, err := metav1.LabelSelectorAsSelector(g.Spec.ClusterSelector)
		if err != nil || !selector.Matches(labels.Set(c.Labels)) {
			continue
		}
		var flags []string
		asked, _ := selector.Requirements()
		for _, r := range asked {
			if flag, own := said[r.Key()]; own && !slices.Contains(flags, flag) {
				flags = append(flags, flag)
			}
		}
		if len(flags) > 0 {
			slices.Sort(flags)
			return Refuse("%s would read what is sealed for group %s by what it says of itself, and only admins say who reads; join with a token that says it: hanse token create --cluster %[1]s %[3]s",
				terms.Cluster, g.Name, strings.Join(flags, " "))
		}
	}
	return nil
}

func flag(name, value string) string {
	if value == "" {
		value = strings.ToUpper(name)
	}
	return "--" + name + " " + value
}

// SaidItself is what of region and zone a new cluster says of itself and its token does not, as the annotation of a Cluster has it.
func SaidItself(token, terms law.Terms) string {
	var own []string
	if token.Region == "" && terms.Region != "" {
		own = append(own, "region")
	}
	if token.Zone == "" && terms.Zone != "" {
		own = append(own, "zone")
	}
	return strings.Join(own, ",")
}
