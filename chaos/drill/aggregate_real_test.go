package drill

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/chaos/testbed"
)

// kubectl is what a platform engineer types who has a cluster's own kubeconfig, and nothing of hanse.
func (f *field) kubectl(ctx context.Context, cluster, input string, args ...string) (string, error) {
	kubernetes, err := testbed.FindBinaries()
	if err != nil {
		return "", err
	}
	c, err := f.bed.Cluster(cluster)
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, kubernetes.Path(testbed.Kubectl), append([]string{"--kubeconfig", c.Kubeconfig()}, args...)...)
	cmd.Env = ownEnv()
	cmd.Stdin = strings.NewReader(input)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		return said.String(), fmt.Errorf("kubectl %s in %s: %w\n%s", strings.Join(args, " "), cluster, err, said.String())
	}
	return said.String(), nil
}

// mustKubectl is kubectl that succeeds.
func (f *field) mustKubectl(t *testing.T, cluster, input string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errors.New("no end within a minute"))
	defer cancel()
	said, err := f.kubectl(ctx, cluster, input, args...)
	if err != nil {
		t.Fatal(err)
	}
	return said
}

// inEveryCluster is held on a fleet without bundles, and leaves it so.
func inEveryCluster(t *testing.T, f *field) {
	const bundle = `apiVersion: fleet.hanse.dev/v1alpha1
kind: Bundle
metadata: {name: anywhere}
spec:
  placement: {clusterSelector: {}}
  manifests:
    - {apiVersion: v1, kind: ConfigMap, metadata: {name: anywhere, namespace: default}, data: {text: "%s"}}
`
	t.Run("each cluster's own API shows the whole fleet", func(t *testing.T) {
		for _, c := range f.bed.Clusters() {
			took := until(t, 2*time.Minute, func(ctx context.Context) error {
				said, err := f.kubectl(ctx, c.Name(), "", "get", "clusters.fleet.hanse.dev", "-o", "name")
				want := "cluster.fleet.hanse.dev/fra\ncluster.fleet.hanse.dev/iad\ncluster.fleet.hanse.dev/sin\n"
				if diff := cmp.Diff(want, said); err == nil && diff != "" {
					err = errors.New(diff)
				}
				return err
			})
			t.Logf("%s after %s", c.Name(), round(took))
		}
	})
	t.Run("a bundle that one cluster's kubectl applies is everywhere", func(t *testing.T) {
		t.Log(f.mustKubectl(t, "iad", fmt.Sprintf(bundle, "a"), "apply", "--server-side", "-f", "-"))
		t.Log(f.mustKubectl(t, "sin", "", "wait", "--for=condition=Ready", "--timeout=60s", "bundle/anywhere"))
		for _, c := range f.bed.Clusters() {
			until(t, 2*time.Minute, settings(f.kubernetes(t, c.Name()), "default", "anywhere", "text", "a"))
		}
	})
	t.Run("what the member does is told in its cluster", func(t *testing.T) {
		f.mustKubectl(t, "sin", "", "patch", "configmap", "anywhere", "--type=merge", "-p", `{"data":{"text":"edited"}}`)
		until(t, 2*time.Minute, settings(f.kubernetes(t, "sin"), "default", "anywhere", "text", "a"))
		until(t, 3*time.Minute, f.kubectlSays("sin", "configmap default/anywhere was changed by kubectl-patch: it is put right", "describe", "bundle", "anywhere"))
		f.mustKubectl(t, "iad", fmt.Sprintf(bundle, "a2"), "apply", "--server-side", "-f", "-")
		until(t, 3*time.Minute, f.kubectlSays("sin", "is applied in this cluster", "get", "events.events.k8s.io"))
	})
	t.Run("the cluster's own rules say who may do what there", func(t *testing.T) {
		may := func(word string, args ...string) {
			t.Helper()
			until(t, 2*time.Minute, f.kubectlSays("sin", word, append([]string{"--as", "jane"}, args...)...))
		}
		may("is forbidden", "get", "bundles")
		f.mustKubectl(t, "sin", "", "create", "clusterrolebinding", "jane", "--clusterrole=view", "--user=jane")
		may("anywhere", "get", "bundles")
		may("is forbidden", "get", "users.fleet.hanse.dev")
		may("is forbidden", "label", "bundle", "anywhere", "by=jane")
		f.mustKubectl(t, "sin", "", "create", "clusterrolebinding", "jane-edits", "--clusterrole=edit", "--user=jane")
		may("bundle.fleet.hanse.dev/anywhere labeled", "label", "bundle", "anywhere", "by=jane")
		f.mustKubectl(t, "sin", "", "delete", "clusterrolebinding", "jane", "jane-edits")
	})
	t.Run("the fleet says what a cluster may do, whoever asks there", func(t *testing.T) {
		rights := func(r string) {
			t.Helper()
			f.mustKubectl(t, "fra", "", "patch", "cluster.fleet.hanse.dev", "sin", "--type=merge", "-p", `{"spec":{"rights":"`+r+`"}}`)
		}
		rights("ReadOnly")
		until(t, 2*time.Minute, f.kubectlSays("sin", "rights ReadOnly", "label", "bundle", "anywhere", "by=root", "--overwrite"))
		for _, dry := range [][]string{{"label", "bundle", "anywhere", "by=root", "--overwrite"}, {"delete", "bundle", "anywhere"}} { // and says it before
			until(t, 2*time.Minute, f.kubectlSays("sin", "rights ReadOnly", append(dry, "--dry-run=server")...))
		}
		rights("OwnObjects")
		until(t, 2*time.Minute, f.kubectlSays("sin", "rights OwnObjects", "label", "bundle", "anywhere", "by=root", "--overwrite"))
		own := func(clusters string) string {
			return "{apiVersion: fleet.hanse.dev/v1alpha1, kind: Bundle, metadata: {name: own}, spec: {placement: {clusters: [" + clusters + "]}}}"
		}
		f.mustKubectl(t, "sin", own("sin"), "apply", "--server-side", "-f", "-")
		for _, others := range []string{"fra", "sin, fra"} {
			said, err := f.kubectl(t.Context(), "sin", own(others), "apply", "--server-side", "-f", "-")
			if err == nil {
				t.Errorf("for %s: %s", others, said)
			}
			mentions(t, said, "rights OwnObjects")
		}
		for _, args := range [][]string{{"delete", "bundle", "anywhere"}, {"patch", "cluster.fleet.hanse.dev", "sin", "--type=merge", "-p", `{"spec":{"rights":"Admin"}}`}} {
			said, err := f.kubectl(t.Context(), "sin", "", args...)
			if err == nil {
				t.Errorf("%q: %s", args, said)
			}
			t.Log(said)
		}
		f.mustKubectl(t, "sin", "", "delete", "bundle", "own")
		rights("Admin")
		until(t, 2*time.Minute, f.kubectlSays("sin", "labeled", "label", "bundle", "anywhere", "by=root", "--overwrite"))
	})
	t.Run("one that watches and does not read is hung up on", func(t *testing.T) { unread(t, f) })
	t.Run("one that floods waits for itself alone", func(t *testing.T) { flooded(t, f) })
	t.Run("and what another's deletes is gone", func(t *testing.T) {
		t.Log(f.mustKubectl(t, "fra", "", "delete", "bundle", "anywhere"))
		f.letGo(t, "iad", "anywhere")
		until(t, 2*time.Minute, func(ctx context.Context) error {
			said, err := f.kubectl(ctx, "sin", "", "get", "works")
			if err == nil && strings.Contains(said, "anywhere") {
				err = errors.New(said)
			}
			return err
		})
	})
}

// kubectlSays checks that a cluster's kubectl says a word, whether it succeeds or not.
func (f *field) kubectlSays(cluster, word string, args ...string) func(context.Context) error {
	return func(ctx context.Context) error {
		said, err := f.kubectl(ctx, cluster, "", args...)
		if strings.Contains(said, word) {
			return nil
		}
		return fmt.Errorf("%q is not said: %w\n%s", word, err, said)
	}
}

// takenOut is held on a fleet without bundles, and leaves it so.
func takenOut(t *testing.T, f *field) {
	const registered = "v1alpha1.fleet.hanse.dev"
	const aggregated = `jsonpath={range .status.conditions[?(@.type=="Aggregated")]}{.status} {.reason}{end}`
	sin := &Daemon{Cluster: "sin", Region: "ap", Dir: filepath.Join(f.bed.Dir(), "sin", "hanse"), Log: filepath.Join(f.bed.Dir(), "sin", "log", "apart.log"), hanse: f.hanse}
	awaitAPI(t, f, "sin")
	if err := f.cluster(t, "sin").Kill(testbed.Member); err != nil {
		t.Fatal(err)
	}
	t.Run("a member that is to stay out of its cluster's API takes out what it put there", func(t *testing.T) {
		if err := sin.Start("--kubeconfig", f.cluster(t, "sin").Kubeconfig(), "--aggregate=false", "--cluster-api=false"); err != nil {
			t.Fatal(err)
		}
		defer bury(t, sin)
		until(t, 3*time.Minute, f.hanseSays(t, "fra", "does not serve its cluster's API: it runs with --cluster-api=false", "get", "pods", "--cluster", "sin"))
		for _, gone := range [][]string{{"clusterrolebinding", v1alpha1.ClusterGroup("acme", v1alpha1.RoleViewer)}, {"clusterrolebinding", v1alpha1.ClusterGroup("acme", v1alpha1.RoleAdmin)}, {"apiservice", registered}, {"service", "hanse", "-n", "hanse-system"}, {"service", "hanse-alive", "-n", "hanse-system"}, {"clusterrole", "hanse:viewer"}} {
			until(t, 2*time.Minute, f.kubectlSays("sin", "NotFound", append([]string{"get"}, gone...)...))
		}
	})
	t.Run("a member that may do too little says what it may not", func(t *testing.T) {
		if err := sin.Start("--kubeconfig", f.humble(t, "sin")); err != nil {
			t.Fatal(err)
		}
		defer bury(t, sin)
		until(t, 3*time.Minute, f.hanseSays(t, "fra", "cannot impersonate", "get", "pods", "--cluster", "sin"))
		until(t, 3*time.Minute, f.kubectlSays("fra", "False Forbidden", "get", "cluster.fleet.hanse.dev", "sin", "-o", aggregated))
		t.Log(f.tell(t, "fra", nil, "get", "pods", "--cluster", "sin"))
	})
	t.Run("an APIService of somebody else is left alone, and told", func(t *testing.T) {
		f.mustKubectl(t, "sin", `apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1alpha1.fleet.hanse.dev}
spec: {group: fleet.hanse.dev, version: v1alpha1, groupPriorityMinimum: 10, versionPriority: 10, insecureSkipTLSVerify: true, service: {name: other, namespace: default, port: 443}}
`, "create", "-f", "-")
		f.heal(t)
		until(t, 2*time.Minute, func(context.Context) error {
			if log := string(f.log(t, "sin")); !strings.Contains(log, "not this member's and is left alone") {
				return errors.New("the log does not say it")
			}
			return nil
		})
		mentions(t, f.mustKubectl(t, "sin", "", "get", "apiservice", registered, "-o", "jsonpath={.spec.service.name}"), "other")
		until(t, 3*time.Minute, f.kubectlSays("fra", "False ForeignAPIService", "get", "cluster.fleet.hanse.dev", "sin", "-o", aggregated))
		mentions(t, f.must(t, "fra", nil, "status").Out, "the fleet's API is not in the cluster sin: ForeignAPIService")
		f.must(t, "sin", nil, "get", "clusters")
	})
	t.Run("when it is gone, the member's takes its place", func(t *testing.T) {
		f.mustKubectl(t, "sin", "", "delete", "apiservice", registered)
		awaitAPI(t, f, "sin")
		until(t, 3*time.Minute, f.kubectlSays("fra", "True Registered", "get", "cluster.fleet.hanse.dev", "sin", "-o", aggregated))
	})
}

// hanseSays checks that hanse at a member fails, and says a word.
func (f *field) hanseSays(t *testing.T, member, word string, args ...string) func(context.Context) error {
	return func(ctx context.Context) error {
		said, err := Person{Hanse: f.hanse, Server: f.cluster(t, member).HanseServer()}.Type(ctx, nil, args...)
		if err == nil && (said.Code == 0 || !strings.Contains(said.Talk, word)) {
			err = fmt.Errorf("%q is not said: %s", word, said)
		}
		return err
	}
}

// letGo lets what a bundle has in its clusters go, as somebody must when it was deleted with kubectl.
func (f *field) letGo(t *testing.T, member, bundle string) {
	t.Helper()
	until(t, 2*time.Minute, func(ctx context.Context) error {
		said, err := Person{Hanse: f.hanse, Server: f.cluster(t, member).HanseServer()}.Type(ctx, nil, "rollout", "approve", bundle, "--deletions", "--yes")
		if err == nil && said.Code != 0 {
			err = errors.New(said.String())
		}
		return err
	})
}

// humble is a kubeconfig of somebody who may only look at a cluster.
func (f *field) humble(t *testing.T, cluster string) string {
	t.Helper()
	f.mustKubectl(t, cluster, "", "create", "serviceaccount", "humble")
	f.mustKubectl(t, cluster, "", "create", "clusterrolebinding", "humble", "--clusterrole=view", "--serviceaccount=default:humble")
	config, err := clientcmd.LoadFromFile(f.cluster(t, cluster).Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	token := strings.TrimSpace(f.mustKubectl(t, cluster, "", "create", "token", "humble"))
	for name := range config.AuthInfos {
		config.AuthInfos[name] = &clientcmdapi.AuthInfo{Token: token}
	}
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, file); err != nil {
		t.Fatal(err)
	}
	return file
}
