package project

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"
)

var rewrite = flag.Bool("update", false, "write the golden files again")

// acme is a fleet of four clusters and one bundle. The control plane of iad is dead, sin is away, and syd was never heard.
func acme() Fleet {
	joined := metav1.NewTime(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	healthy := func(status metav1.ConditionStatus, reason, message string) *metav1.Condition {
		return &metav1.Condition{Type: "ControlPlaneHealthy", Status: status, Reason: reason, Message: message, LastTransitionTime: joined}
	}
	return Fleet{
		Name: "acme", Cluster: "fra", Epoch: "e1", Revision: 812,
		Members: []Member{
			{
				Cluster: "fra", UID: "u-fra", Labels: map[string]string{"tier": "prod", "topology.kubernetes.io/region": "eu"}, Region: "eu", Zone: "eu-1", Kubernetes: "v1.37.2",
				Server: "https://192.0.2.1:7947", Certificate: []byte("PEM\n"), Joined: joined, Healthy: healthy(metav1.ConditionTrue, "Ready", "kube-apiserver is ready"),
			},
			{Cluster: "iad", UID: "u-iad", Region: "us", Joined: joined, Healthy: healthy(metav1.ConditionFalse, "NoAnswer", "kube-apiserver does not answer")},
			{Cluster: "sin", UID: "u-sin", Region: "asia", Joined: joined, Healthy: healthy(metav1.ConditionUnknown, "Silent", "the member is away")},
			{Cluster: "syd", UID: "u-syd", Region: "asia", Joined: joined},
		},
		Bundles: []Bundle{{Name: "shop", UID: "u-shop", Clusters: []string{"fra", "sin"}}},
	}
}

func TestTheProjectionsOfAFleet(t *testing.T) {
	var got bytes.Buffer
	for _, s := range standards {
		for _, w := range s.want(acme()) {
			text, err := yaml.Marshal(w.marked(acme()).Object)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&got, "---\n%s", text)
		}
	}
	const file = "testdata/acme.yaml"
	if *rewrite {
		if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(golden), got.String()); diff != "" {
		t.Error(diff)
	}
}

func TestAClusterThatTheLogNoLongerHasSaysNothingOfItself(t *testing.T) {
	f := acme()
	f.Cluster = "gone"
	if got := properties(f); len(got) != 0 {
		t.Errorf("%d properties", len(got))
	}
}

func TestADecisionOfManyClustersIsSeveralObjects(t *testing.T) {
	for clusters, want := range map[int]string{0: "0", 1: "1", 100: "100", 101: "100 1", 300: "100 100 100"} {
		f := Fleet{Name: "acme", Bundles: []Bundle{{Name: "shop"}}}
		for i := range clusters {
			f.Bundles[0].Clusters = append(f.Bundles[0].Clusters, fmt.Sprintf("c%d", i))
		}
		var got []string
		for _, w := range decisions(f) {
			got = append(got, fmt.Sprint(len(w.object().Object["decisions"].([]any))))
		}
		if diff := cmp.Diff(want, strings.Join(got, " ")); diff != "" {
			t.Error(clusters, diff)
		}
	}
}

func TestEveryBundleHasAKeyThatIsANameAndALabel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bundle := rapid.StringMatching(`[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?`).Draw(t, "bundle")
		key := keyOf(bundle)
		if bad := append(validation.IsValidLabelValue(key), validation.IsDNS1123Subdomain(key+"-12")...); len(bad) > 0 {
			t.Errorf("%q: %v", key, bad)
		}
	})
}
