package drill

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/chaos/testbed"
)

// settingsNamed is a ConfigMap's manifest.
func settingsNamed(name string) []byte {
	return fmt.Appendf(nil, "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, namespace: default}\ndata: {greeting: welcome}\n", name)
}

// work is one bundle in one cluster, as a member tells it.
func (f *field) work(ctx context.Context, asked, bundle, cluster string) (w v1alpha1.Work, err error) {
	c, err := f.bed.Cluster(asked)
	if err != nil {
		return w, err
	}
	said, err := Person{Hanse: f.hanse, Server: c.HanseServer()}.Type(ctx, nil, "get", "work", v1alpha1.WorkName(bundle, cluster), "-o", "json")
	if err == nil && said.Code != 0 {
		err = errors.New(said.String())
	}
	if err != nil {
		return w, err
	}
	return w, json.Unmarshal([]byte(said.Out), &w)
}

// standing checks what the condition Ready of a Work says.
func (f *field) standing(asked, bundle, cluster, reason string, words ...string) func(context.Context) error {
	return func(ctx context.Context) error {
		w, err := f.work(ctx, asked, bundle, cluster)
		if err != nil {
			return err
		}
		for _, c := range w.Status.Conditions {
			if c.Type == v1alpha1.ConditionReady && c.Reason == reason && containsAll(c.Message, words) {
				return nil
			}
		}
		return fmt.Errorf("%s in %s: %+v", bundle, cluster, w.Status.Conditions)
	}
}

func containsAll(text string, words []string) bool {
	for _, w := range words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}

// refusingOne is held on a fleet without bundles, and leaves it so.
func refusingOne(t *testing.T, f *field) {
	t.Run("an object that one cluster refuses fails there alone", func(t *testing.T) {
		lift := f.forbid(t, "iad", "unwanted")
		manifests := append(settingsNamed("unwanted"), settingsNamed("wanted")...)
		args := []string{"apply", "--bundle", "mixed", "--to", "all", "-f", "-", "--wait"}
		said := ended(t, 3, f.tell(t, "sin", manifests, args...), args)
		t.Logf("%s", said)
		mentions(t, said.Talk, "not there in iad", "configmap default/unwanted", "nobody wants this here")
		for _, c := range []string{"fra", "sin"} {
			until(t, 2*time.Minute, f.standing("fra", "mixed", c, "Ready"))
		}
		until(t, 2*time.Minute, f.standing("fra", "mixed", "iad", "Refused", "nobody wants this here"))
		until(t, 2*time.Minute, settings(f.kubernetes(t, "iad"), "default", "wanted", "greeting", "welcome"))
		status := ended(t, 3, f.tell(t, "fra", nil, "status"), []string{"status"})
		mentions(t, status.Out, "failed")
		t.Logf("%s", status)
		lift()
		took := until(t, 2*time.Minute, f.standing("fra", "mixed", "iad", "Ready"))
		t.Logf("ready %s after the cluster stopped refusing", round(took))
		f.must(t, "fra", nil, "delete", "bundle", "mixed", "--yes", "--wait")
	})
	t.Run("an object of a kind that no cluster has is named, and the rest is there", func(t *testing.T) {
		manifests := append(settingsNamed("known"), []byte("---\napiVersion: nowhere.example.com/v1\nkind: Gizmo\nmetadata: {name: g, namespace: default}\n")...)
		args := []string{"apply", "--bundle", "odd", "--clusters", "sin", "-f", "-", "--wait"}
		said := ended(t, 3, f.tell(t, "fra", manifests, args...), args)
		t.Logf("%s", said)
		mentions(t, said.Talk, "not there in sin", "gizmo default/g", "unknown kind")
		until(t, 2*time.Minute, settings(f.kubernetes(t, "sin"), "default", "known", "greeting", "welcome"))
		f.must(t, "fra", nil, "delete", "bundle", "odd", "--yes", "--wait")
	})
}

// forbid makes a cluster refuse ConfigMaps of a name, and returns what ends that.
func (f *field) forbid(t *testing.T, cluster, name string) (lift func()) {
	t.Helper()
	client := f.kubernetes(t, cluster)
	policies, bindings := client.AdmissionregistrationV1().ValidatingAdmissionPolicies(), client.AdmissionregistrationV1().ValidatingAdmissionPolicyBindings()
	policy := &admissionv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: "drill"}, Spec: admissionv1.ValidatingAdmissionPolicySpec{
		MatchConstraints: &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
			Operations: []admissionv1.OperationType{admissionv1.Create, admissionv1.Update},
			Rule:       admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"configmaps"}},
		}}}},
		Validations: []admissionv1.Validation{{Expression: fmt.Sprintf("object.metadata.name != %q", name), Message: "nobody wants this here"}},
	}}
	binding := &admissionv1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: "drill"}, Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
		PolicyName: "drill", ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
	}}
	_, err := policies.Create(t.Context(), policy, metav1.CreateOptions{})
	if err == nil {
		_, err = bindings.Create(t.Context(), binding, metav1.CreateOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	until(t, 2*time.Minute, func(ctx context.Context) error {
		dryRun := metav1.PatchOptions{FieldManager: "drill", DryRun: []string{metav1.DryRunAll}}
		_, err := client.CoreV1().ConfigMaps("default").Patch(ctx, name, types.ApplyYAMLPatchType, settingsNamed(name), dryRun)
		if !apierrors.IsInvalid(err) && !apierrors.IsForbidden(err) {
			return fmt.Errorf("not refused yet: %v", err)
		}
		return nil
	})
	return func() {
		if err := errors.Join(bindings.Delete(t.Context(), "drill", metav1.DeleteOptions{}), policies.Delete(t.Context(), "drill", metav1.DeleteOptions{})); err != nil {
			t.Fatal(err)
		}
	}
}

// mistakenKubeconfig runs the member of sin with kubeconfigs that are not its own. It is held on a fleet without
// bundles, and leaves it so.
func mistakenKubeconfig(t *testing.T, f *field) {
	f.must(t, "fra", shop("1"), applyShop("--wait")...)
	sin := &Daemon{Cluster: "sin", Region: "ap", Dir: filepath.Join(f.bed.Dir(), "sin", "hanse"), Log: filepath.Join(f.bed.Dir(), "sin", "log", "mistaken.log"), hanse: f.hanse}
	right, err := os.ReadFile(f.cluster(t, "sin").Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	nowhere := filepath.Join(f.bed.Dir(), "sin", "nowhere.kubeconfig")
	if err := os.WriteFile(nowhere, bytes.ReplaceAll(right, []byte(":6443"), []byte(":6444")), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := f.cluster(t, "sin").Kill(testbed.Member); err != nil {
		t.Fatal(err)
	}
	for _, wrong := range []struct{ name, kubeconfig, reason string }{
		{"one of a cluster that does not answer", nowhere, "Unreachable"},
		{"one of another member's cluster", f.cluster(t, "fra").Kubeconfig(), "LeaseHeld"},
	} {
		t.Run(wrong.name+" is told, and the member goes on serving", func(t *testing.T) {
			if err := sin.Start("--kubeconfig", wrong.kubeconfig); err != nil {
				t.Fatal(err)
			}
			defer bury(t, sin)
			until(t, comesBack, f.standing("iad", "shop", "sin", wrong.reason))
			said := ended(t, 3, f.tell(t, "iad", nil, "status"), []string{"status"})
			works := f.must(t, "iad", nil, "get", "works").Out
			mentions(t, works, wrong.reason)
			t.Logf("%s\n%s", said, works)
			mentions(t, said.Out, "failed")
			f.must(t, "sin", settingsNamed("through-sin"), "apply", "--bundle", "small", "--clusters", "iad", "-f", "-", "--wait")
			f.must(t, "sin", nil, "delete", "bundle", "small", "--yes", "--wait")
			repairs(t, f.kubernetes(t, "fra"), "1") // by fra's own member
		})
	}
	t.Run("with the right one all is well again", func(t *testing.T) {
		if err := f.bed.Heal(t.Context(), "ap"); err != nil {
			t.Fatal(err)
		}
		until(t, comesBack, f.standing("iad", "shop", "sin", "Ready"))
	})
	f.must(t, "fra", nil, "delete", "bundle", "shop", "--yes", "--wait")
}

// removingOne is held last: sin does not come back.
func removingOne(t *testing.T, f *field) {
	f.must(t, "fra", shop("1"), applyShop("--wait")...)
	sealedForEveryone(t, f)
	said := f.must(t, "iad", nil, "remove", "sin", "--yes")
	t.Logf("%s", said)
	mentions(t, said.Talk, "what it could read:", "open: 2 lines of 2 secrets")
	sin := f.cluster(t, "sin")
	t.Run("what it could read is listed until other values are in use", func(t *testing.T) { stolen(t, f, "sin") })

	t.Run("its daemon says so and stops", func(t *testing.T) {
		took := until(t, 2*time.Minute, func(context.Context) error {
			if pid, runs := sin.Pids()[testbed.Member]; runs {
				return fmt.Errorf("still runs as %d", pid)
			}
			return nil
		})
		log := string(f.log(t, "sin"))
		mentions(t, log, wordsOfTheRemoved, "its workloads go on")
		t.Logf("stopped %s after the command\n%s", round(took), sin.LogTail(testbed.Member))
	})
	t.Run("who stole it reads nothing that was sealed after its removal", func(t *testing.T) { stolenForNothing(t, f, "sin") })
	t.Run("its cluster no longer has the fleet's API, and gives its people nothing", func(t *testing.T) {
		until(t, 3*time.Minute, f.kubectlSays("sin", "NotFound", "get", "apiservice", "v1alpha1.fleet.hanse.dev"))
		for _, role := range []v1alpha1.Role{v1alpha1.RoleViewer, v1alpha1.RoleOperator, v1alpha1.RoleAdmin} {
			until(t, 3*time.Minute, f.kubectlSays("sin", "NotFound", "get", "clusterrolebinding", v1alpha1.ClusterGroup("acme", role)))
		}
	})
	t.Run("it does not start again", func(t *testing.T) {
		args := []string{"agent", "--data-dir", filepath.Join(f.bed.Dir(), "sin", "hanse"), "--kubeconfig", sin.Kubeconfig()}
		refusedWith(t, 3, tell(t, Person{Hanse: f.hanse}, nil, args...), wordsOfTheRemoved, "join")
	})
	t.Run("the others no longer know it, and go on", func(t *testing.T) {
		for _, asked := range []string{"fra", "iad"} {
			until(t, 2*time.Minute, func(context.Context) error {
				for _, c := range f.status(t, asked).Clusters {
					if c.Name == "sin" {
						return fmt.Errorf("%s still knows it", asked)
					}
				}
				return nil
			})
		}
		f.must(t, "fra", shop("2"), applyShop("--wait")...)
		if works := f.must(t, "iad", nil, "get", "works").Out; strings.Contains(works, "sin") {
			t.Errorf("works:\n%s", works)
		}
	})
	t.Run("its workloads stay as they were", func(t *testing.T) {
		until(t, 3*time.Minute, settings(f.kubernetes(t, "sin"), "shop", "settings", "version", "1"))
		if _, err := f.kubernetes(t, "sin").CoreV1().Services("shop").Get(t.Context(), "web", metav1.GetOptions{}); err != nil {
			t.Error(err)
		}
	})
}

// wordsOfTheRemoved are the words of a daemon whose member was removed.
const wordsOfTheRemoved = "this member was removed from the fleet"

func refusedWith(t *testing.T, code int, said Said, words ...string) {
	t.Helper()
	if said.Code != code {
		t.Errorf("want exit %d: %s", code, said)
	}
	mentions(t, said.Talk, words...)
	t.Logf("%s", said)
}
