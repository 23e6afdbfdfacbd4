package drill

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/hanse-fleet/hanse/chaos/testbed"
)

// ofBundles is what the drill's bundle needs, besides what the member needs itself.
const ofBundles = `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: drill-bundles}
rules: [{apiGroups: [""], resources: [namespaces, configmaps], verbs: [get, list, watch, create, update, patch, delete]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: drill-bundles}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: drill-bundles}
subjects: [{kind: ServiceAccount, name: hanse, namespace: hanse-system}]
`

// leastRights runs the member of sin with the rights that deploy/rbac.yaml gives, and no others, in a cluster where nothing of it
// was before. It is held on a fleet without bundles, and leaves it so.
func leastRights(t *testing.T, f *field) {
	awaitAPI(t, f, "sin")
	if err := f.cluster(t, "sin").Kill(testbed.Member); err != nil {
		t.Fatal(err)
	}
	for _, made := range []string{
		"apiservice/v1alpha1.fleet.hanse.dev", "namespace/hanse-system", "clusterrole/hanse:viewer", "clusterrole/hanse:operator", "clusterrole/hanse:admin",
		"clusterrolebinding/hanse:acme:role:Viewer", "clusterrolebinding/hanse:acme:role:Operator", "clusterrolebinding/hanse:acme:role:Admin",
	} {
		f.mustKubectl(t, "sin", "", "delete", made)
	}
	rights, err := os.ReadFile("../../deploy/rbac.yaml")
	if err != nil {
		t.Fatal(err)
	}
	f.mustKubectl(t, "sin", strings.ReplaceAll(string(rights), "FLEET", "acme")+"---"+ofBundles, "apply", "-f", "-")
	sin := &Daemon{Cluster: "sin", Region: "ap", Dir: filepath.Join(f.bed.Dir(), "sin", "hanse"), Log: filepath.Join(f.bed.Dir(), "sin", "log", "rights.log"), hanse: f.hanse}
	if err := sin.Start("--kubeconfig", f.asServiceAccount(t, "sin"), "--install-crds"); err != nil {
		t.Fatal(err)
	}
	isWhole(t, f, sin)
	f.heal(t)
}

// isWhole looks at all that a member does in its cluster, and then ends it.
func isWhole(t *testing.T, f *field, sin *Daemon) {
	defer bury(t, sin)
	f.awaitWell(t)
	t.Run("bundles are applied, and taken away", func(t *testing.T) {
		f.must(t, "iad", settingsNamed("least"), "apply", "--bundle", "least", "--clusters", "sin", "-f", "-", "--wait")
		f.must(t, "iad", nil, "delete", "bundle", "least", "--yes", "--wait")
		until(t, 3*time.Minute, f.kubectlSays("sin", "Withdrawn", "get", "events.events.k8s.io", "-n", "default"))
	})
	t.Run("the fleet's API is there", func(t *testing.T) {
		awaitAPI(t, f, "sin")
		for _, role := range []string{"hanse:viewer", "hanse:operator", "hanse:admin"} {
			until(t, 3*time.Minute, f.kubectlSays("sin", role, "get", "clusterrole", role))
		}
	})
	t.Run("people reach the cluster", func(t *testing.T) {
		until(t, 3*time.Minute, func(context.Context) error {
			said := f.tell(t, "iad", nil, "get", "namespaces", "--all-clusters", "--cluster", "sin")
			if said.Code != 0 || !strings.Contains(said.Out, "hanse-system") {
				return errors.New(said.String())
			}
			return nil
		})
	})
	t.Run("the fleet is shown by the standards", func(t *testing.T) {
		until(t, 2*time.Minute, f.kubectlSays("sin", "iad", "get", "clusterprofiles", "-n", "hanse-system"))
		until(t, 3*time.Minute, f.kubectlSays("sin", "clusterset.k8s.io", "get", "clusterproperties"))
	})
	t.Run("the cluster is measured", func(t *testing.T) {
		until(t, 3*time.Minute, func(context.Context) error {
			said := f.must(t, "iad", nil, "get", "clustermetrics", "sin", "-o", "json")
			if !strings.Contains(said.Out, `"allocatable"`) {
				return errors.New(said.Out)
			}
			return nil
		})
	})
	t.Run("nothing is forbidden to it", func(t *testing.T) {
		log, err := os.ReadFile(sin.Log)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(log) {
			if bytes.Contains(line, []byte("forbidden")) {
				t.Errorf("%s", line)
			}
		}
	})
}

// asServiceAccount writes a kubeconfig of what deploy/rbac.yaml makes in a cluster.
func (f *field) asServiceAccount(t *testing.T, cluster string) (path string) {
	t.Helper()
	config, err := clientcmd.LoadFromFile(f.cluster(t, cluster).Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	token := strings.TrimSpace(f.mustKubectl(t, cluster, "", "create", "token", "hanse", "-n", "hanse-system", "--duration", "1h"))
	for name := range config.AuthInfos {
		config.AuthInfos[name] = &api.AuthInfo{Token: token}
	}
	path = filepath.Join(f.bed.Dir(), cluster, "serviceaccount.kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
	return path
}
