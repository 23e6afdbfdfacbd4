package agent

import (
	"encoding/json"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/apiserver"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/consensus/store/storetest"
	"github.com/hanse-fleet/hanse/law"
)

// Whoever picks readers by region is told which of them said theirs themselves.
func TestWhoPicksByWhatClustersSaidThemselvesIsTold(t *testing.T) {
	fra := keyHolder(t, "fra")
	joined := func(token, terms law.Terms) v1alpha1.Cluster {
		return v1alpha1.Cluster{ObjectMeta: func() metav1.ObjectMeta {
			meta := joinedMeta(token, terms)
			meta.Labels = map[string]string{v1alpha1.LabelRegion: terms.Region}
			return meta
		}()}
	}
	v := storetest.View(t, store.Member{ID: "m", Cluster: "fra", Pin: store.Pin{1}}, map[string]any{
		v1alpha1.KeyClusters + "cdg": joined(law.Terms{Region: "eu"}, law.Terms{Cluster: "cdg", Region: "eu"}),
		v1alpha1.KeyClusters + "mad": joined(law.Terms{}, law.Terms{Cluster: "mad", Region: "eu"}),
		v1alpha1.KeyClusters + "sin": joined(law.Terms{}, law.Terms{Cluster: "sin", Region: "ap"}),
	})
	group := func(label, value string) []byte {
		g := v1alpha1.RecipientGroup{ObjectMeta: metav1.ObjectMeta{Name: "readers"}}
		g.Spec.ClusterSelector = &metav1.LabelSelector{MatchLabels: map[string]string{label: value}}
		text, err := json.Marshal(g)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	const key = v1alpha1.KeyRecipientGroups + "readers"
	for name, c := range map[string]struct {
		write apiserver.Write
		want  string
	}{
		"a new group":          {apiserver.Write{Key: key, After: group(v1alpha1.LabelRegion, "eu")}, "that mad said of itself"},
		"another selector":     {apiserver.Write{Key: key, Before: group("tier", "prod"), After: group(v1alpha1.LabelRegion, "ap")}, "that sin said of itself"},
		"the same selector":    {apiserver.Write{Key: key, Before: group(v1alpha1.LabelRegion, "eu"), After: group(v1alpha1.LabelRegion, "eu")}, ""},
		"by an admin's label":  {apiserver.Write{Key: key, After: group("tier", "prod")}, ""},
		"the group is deleted": {apiserver.Write{Key: key, Before: group(v1alpha1.LabelRegion, "eu")}, ""},
		"something else":       {apiserver.Write{Key: v1alpha1.KeyFleetSecrets + "db", After: group(v1alpha1.LabelRegion, "eu")}, ""},
	} {
		said := strings.Join(fra.pickedByOwnWord(v, c.write), "\n")
		if c.want == "" && said != "" || !strings.Contains(said, c.want) || strings.Contains(said, "cdg") {
			t.Errorf("%s: it is told: %q", name, said)
		}
	}
}
