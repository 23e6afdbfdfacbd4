package project_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/hanse-fleet/hanse/project"
)

var joined = metav1.NewTime(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))

func member(cluster string) project.Member {
	return project.Member{
		Cluster: cluster, UID: "uid-" + cluster, Labels: map[string]string{"tier": "prod"}, Region: "eu", Kubernetes: "v1.37.2",
		Server: "https://192.0.2.1:7947", Certificate: []byte("PEM\n"), Joined: joined,
		Healthy: &metav1.Condition{Type: "ControlPlaneHealthy", Status: metav1.ConditionTrue, Reason: "Ready", Message: "kube-apiserver is ready", LastTransitionTime: joined},
	}
}

// fleet has these clusters and a bundle in all of them, at a revision of epoch e1.
func fleet(revision uint64, clusters ...string) project.Fleet {
	f := project.Fleet{Name: "acme", Cluster: "fra", Epoch: "e1", Revision: revision, Bundles: []project.Bundle{{Name: "shop", UID: "uid-shop", Clusters: clusters}}}
	for _, c := range clusters {
		f.Members = append(f.Members, member(c))
	}
	return f
}

func newLog() *log { return &log{changed: make(chan struct{})} }

// settled waits until a change has been carried out: the projection of a cluster that comes with it is there.
func settled(t testing.TB, k *kube, l *log, f project.Fleet, mark string) {
	t.Helper()
	f.Members = append(f.Members, member(mark))
	l.say(f)
	eventually(t, mark+" is projected", func() bool { return k.find(clusterProfiles, mark).GetName() == mark })
}

// decisions is how many clusters a PlacementDecision names.
func decisions(u *unstructured.Unstructured) int {
	list, _, _ := unstructured.NestedSlice(u.Object, "decisions")
	return len(list)
}

func TestAFleetIsProjectedIntoItsClusters(t *testing.T) {
	k, l := startKube(t), newLog()
	heard, _ := start(t, k, l)
	k.standardCRDs()
	program := buildConsumer(t)
	if k.names(clusterProfiles) != "" {
		t.Fatal("something is projected before the fleet is known")
	}
	l.say(fleet(10, "fra", "sin"))
	ready := func() bool {
		conditions, _, _ := unstructured.NestedSlice(k.find(clusterProfiles, "sin").Object, "status", "conditions")
		return len(conditions) == 2 && k.names(placementDecisions) == "shop-0"
	}
	eventually(t, "the fleet is projected", ready)

	t.Run("in the standard's own types, without a field that they do not have", func(t *testing.T) {
		profile := consume(t, program, k.get(clusterProfiles, "fra"))
		server, _, _ := unstructured.NestedString(profile["status"].(map[string]any)["accessProviders"].([]any)[0].(map[string]any), "cluster", "server")
		if want := "https://192.0.2.1:7947/cluster/"; server != want {
			t.Errorf("the consumer reads server %q, not %q", server, want)
		}
		decision := consume(t, program, k.get(placementDecisions, "shop-0"))
		if n := len(decision["decisions"].([]any)); n != 2 {
			t.Errorf("the consumer reads %d decisions", n)
		}
	})
	t.Run("with a namespace that bears the fleet's name", func(t *testing.T) {
		ns, err := k.typed.CoreV1().Namespaces().Get(context.Background(), project.Namespace, metav1.GetOptions{})
		if err != nil || ns.Labels["multicluster.x-k8s.io/clusterset"] != "acme" {
			t.Errorf("%v, %v", ns.Labels, err)
		}
	})
	t.Run("and a kind that is not there is said once", func(t *testing.T) {
		eventually(t, "it is said", func() bool { return heard.has("does not know the kind") })
		heard.mu.Lock()
		defer heard.mu.Unlock()
		if n := strings.Count(heard.text.String(), "kind=ClusterProperty"); n != 1 {
			t.Errorf("said %d times", n)
		}
	})
	t.Run("nothing is written when nothing changes", func(t *testing.T) {
		before := k.get(clusterProfiles, "fra").GetResourceVersion()
		settled(t, k, l, fleet(11, "fra", "sin"), "mark11")
		if after := k.get(clusterProfiles, "fra").GetResourceVersion(); after != before {
			t.Errorf("version %s became %s", before, after)
		}
	})
	t.Run("what somebody edits is put right", func(t *testing.T) {
		k.patch(clusterProfiles, "fra", `{"metadata": {"labels": {"x-k8s.io/cluster-manager": "other", "mine": "stays"}}}`)
		k.patch(clusterProfiles, "sin", `{"status": {"version": {"kubernetes": "v9"}}}`, "status")
		k.patch(placementDecisions, "shop-0", `{"decisions": []}`)
		eventually(t, "all is as it was", func() bool {
			fra, sin, shop := k.find(clusterProfiles, "fra"), k.find(clusterProfiles, "sin"), k.find(placementDecisions, "shop-0")
			version, _, _ := unstructured.NestedString(sin.Object, "status", "version", "kubernetes")
			return fra.GetLabels()["x-k8s.io/cluster-manager"] == "hanse" && version == "v1.37.2" && decisions(shop) == 2
		})
		if k.get(clusterProfiles, "fra").GetLabels()["mine"] != "stays" {
			t.Error("a label of somebody else is gone")
		}
	})
	t.Run("what somebody deletes, or takes our label off, is back", func(t *testing.T) {
		old := k.get(clusterProfiles, "sin").GetUID()
		if err := k.of(clusterProfiles).Delete(context.Background(), "sin", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		k.patch(clusterProfiles, "fra", `{"metadata": {"labels": {"fleet.hanse.dev/fleet": null}}}`)
		eventually(t, "both are back", func() bool {
			sin := k.find(clusterProfiles, "sin")
			return sin.GetUID() != "" && sin.GetUID() != old && k.find(clusterProfiles, "fra").GetLabels()["fleet.hanse.dev/fleet"] == "acme"
		})
	})
	t.Run("a label that an admin took off goes, and a bundle that was granted to one cluster less says so", func(t *testing.T) {
		f := fleet(12, "fra", "sin")
		f.Members[0].Labels, f.Bundles[0].Clusters = nil, []string{"fra"}
		l.say(f)
		eventually(t, "both are as the fleet says", func() bool {
			_, tier := k.find(clusterProfiles, "fra").GetLabels()["tier"]
			return !tier && decisions(k.find(placementDecisions, "shop-0")) == 1
		})
	})
}

// Law 4: absence never deletes.
func TestOnlyWhatTheLogRemovedIsDeleted(t *testing.T) {
	k, l := startKube(t), newLog()
	k.standardCRDs()
	foreign := k.create(clusterProfiles, `{apiVersion: multicluster.x-k8s.io/v1alpha1, kind: ClusterProfile, metadata: {name: iad, namespace: hanse-system}, spec: {clusterManager: {name: other}}}`)
	heard, stop := start(t, k, l)
	l.say(fleet(10, "fra", "sin", "iad", "gru"))
	all := "fra gru iad sin"
	eventually(t, "the fleet is projected", func() bool { return k.names(clusterProfiles) == all && k.names(placementDecisions) == "shop-0" })

	t.Run("an object of somebody else is left alone, and said", func(t *testing.T) {
		eventually(t, "it is said", func() bool { return heard.leftAlone() == "ClusterProfile/iad" })
		if got := k.get(clusterProfiles, "iad"); got.GetResourceVersion() != foreign.GetResourceVersion() {
			t.Errorf("it was written: %v", got)
		}
	})
	t.Run("a state that is not known deletes nothing", func(t *testing.T) {
		l.sayNothing()
		settled(t, k, l, fleet(11, "fra", "sin", "iad", "gru"), "mark11")
		if got := k.names(clusterProfiles); got != "fra gru iad mark11 sin" {
			t.Error(got)
		}
	})
	t.Run("nor does an older state", func(t *testing.T) {
		settled(t, k, l, fleet(9, "fra"), "mark9")
		if got := k.names(clusterProfiles) + " " + k.names(placementDecisions); got != "fra gru iad mark11 mark9 sin shop-0" {
			t.Error(got)
		}
	})
	t.Run("nor an empty or restored one, of another epoch", func(t *testing.T) {
		f := fleet(1000, "fra")
		f.Epoch, f.Bundles = "e2", nil
		settled(t, k, l, f, "mark-e2")
		if got := k.names(clusterProfiles) + " " + k.names(placementDecisions); got != "fra gru iad mark-e2 mark11 mark9 sin shop-0" {
			t.Error(got)
		}
		eventually(t, "it is said", func() bool { return heard.has("nothing proves that it was removed") })
	})
	t.Run("nor what somebody copied from ours", func(t *testing.T) {
		copied := k.get(clusterProfiles, "sin")
		copied.SetName("copy")
		copied.SetUID("")
		copied.SetResourceVersion("")
		copied.SetManagedFields(nil)
		if _, err := k.of(clusterProfiles).Create(context.Background(), copied, metav1.CreateOptions{FieldManager: "somebody"}); err != nil {
			t.Fatal(err)
		}
		settled(t, k, l, fleet(20, "fra", "sin", "iad", "gru"), "mark20")
		k.get(clusterProfiles, "copy") // fails when it is gone
	})
	t.Run("but a cluster and a bundle that left the log are deleted, by a member that was restarted too", func(t *testing.T) {
		stop()
		f := fleet(21, "fra", "iad", "gru")
		f.Bundles = nil
		l.say(f)
		start(t, k, l)
		eventually(t, "they are gone", func() bool {
			return k.names(placementDecisions) == "" && k.names(clusterProfiles) == "copy fra gru iad mark-e2"
		})
	})
}

func TestDefinitionsAreInstalledWhenAsked(t *testing.T) {
	k, l := startKube(t), newLog()
	program := buildConsumer(t)
	l.say(fleet(10, "fra", "sin"))
	start(t, k, l, func(c *project.Config) { c.InstallCRDs = true })
	eventually(t, "the fleet is projected", func() bool {
		return k.names(clusterProperties) == "cluster.clusterset.k8s.io clusterset.k8s.io" && k.names(clusterProfiles) == "fra sin" && k.names(placementDecisions) == "shop-0"
	})
	value, _, _ := unstructured.NestedString(k.get(clusterProperties, "cluster.clusterset.k8s.io").Object, "spec", "value")
	if value != "fra" {
		t.Errorf("the cluster is %q", value)
	}
	eventually(t, "the profile has a status", func() bool { return k.find(clusterProfiles, "fra").Object["status"] != nil })
	consume(t, program, k.get(clusterProfiles, "fra"))
	consume(t, program, k.get(placementDecisions, "shop-0"))
}

func TestALeavingMemberLeavesNothingOfOursAndAllElse(t *testing.T) {
	k, l := startKube(t), newLog()
	if err := project.Remove(t.Context(), k.rest, "acme"); err != nil {
		t.Errorf("where the kinds are not known: %v", err)
	}
	l.say(fleet(10, "fra", "sin"))
	_, stop := start(t, k, l, func(c *project.Config) { c.InstallCRDs = true })
	eventually(t, "the fleet is projected", func() bool {
		return k.names(clusterProperties) != "" && k.names(clusterProfiles) == "fra sin" && k.names(placementDecisions) == "shop-0"
	})
	stop()
	k.create(clusterProfiles, `{apiVersion: multicluster.x-k8s.io/v1alpha1, kind: ClusterProfile, metadata: {name: copied, namespace: hanse-system, labels: {fleet.hanse.dev/fleet: acme}}, spec: {clusterManager: {name: other}}}`)
	if err := project.Remove(t.Context(), k.rest, "other"); err != nil {
		t.Error(err)
	}
	if got := k.names(clusterProfiles); got != "copied fra sin" {
		t.Errorf("another fleet's member left %s", got)
	}
	for range 2 {
		if err := project.Remove(t.Context(), k.rest, "acme"); err != nil {
			t.Error(err)
		}
	}
	if got := k.names(clusterProperties) + k.names(clusterProfiles) + k.names(placementDecisions); got != "copied" {
		t.Errorf("left: %s", got)
	}
	ns, err := k.typed.CoreV1().Namespaces().Get(t.Context(), project.Namespace, metav1.GetOptions{})
	if err != nil || ns.Labels["multicluster.x-k8s.io/clusterset"] != "" {
		t.Errorf("the namespace: %v, %v", ns.Labels, err)
	}
}

func TestADefinitionOfSomebodyElseIsLeftAlone(t *testing.T) {
	k, l := startKube(t), newLog()
	k.standardCRDs()
	version := func() string {
		return k.get(crds, clusterProfiles.Resource+"."+clusterProfiles.Group).GetLabels()["app.kubernetes.io/managed-by"]
	}
	l.say(fleet(10, "fra"))
	start(t, k, l, func(c *project.Config) { c.InstallCRDs = true })
	eventually(t, "the fleet is projected", func() bool { return k.names(clusterProperties) != "" && k.names(clusterProfiles) == "fra" })
	if got := version(); got != "" {
		t.Errorf("the definition is managed by %s", got)
	}
}

func TestAFleetOfThreeHundredIsWrittenOnce(t *testing.T) {
	k, l := startKube(t), newLog()
	k.standardCRDs()
	var clusters []string
	for i := range 300 {
		clusters = append(clusters, fmt.Sprintf("c%03d", i))
	}
	l.say(fleet(10, clusters...))
	began := time.Now()
	_, stop := start(t, k, l)
	list := func() *unstructured.UnstructuredList {
		u, err := k.of(clusterProfiles).List(context.Background(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	eventually(t, "all are projected", func() bool {
		all := list().Items
		for _, u := range all {
			if u.Object["status"] == nil {
				return false
			}
		}
		return len(all) == 300 && k.names(placementDecisions) == "shop-0 shop-1 shop-2"
	})
	t.Logf("300 profiles written within %v", time.Since(began).Round(time.Millisecond))
	before := list().GetResourceVersion()
	stop()
	_, stop = start(t, k, l)
	settled(t, k, l, fleet(11, clusters...), "mark")
	stop()
	for _, u := range list().Items {
		if v := u.GetResourceVersion(); u.GetName() != "mark" && len(v) == len(before) && v > before {
			t.Errorf("%s was written again after a restart", u.GetName())
		}
	}
}
