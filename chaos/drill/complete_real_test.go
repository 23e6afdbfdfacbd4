package drill

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/chaos/testbed"
)

// TestSoftwareOfOthers lets what nobody here wrote use the fleet as any API of Kubernetes.
func TestSoftwareOfOthers(t *testing.T) {
	t.Parallel()
	f := newField(t, 3, 1)
	for _, c := range f.bed.Clusters() {
		awaitAPI(t, f, c.Name())
	}
	t.Run("controllers miss nothing", func(t *testing.T) { controllers(t, f) })
	t.Run("kubectl finds everything", func(t *testing.T) { everything(t, f) })
}

// everything types testdata/kubectl.txtar, with stock kubectl: at a member, and at each cluster's own API. With -v the
// transcript is shown. [cluster] stands before what only a cluster's own API has. It leaves no bundles.
func everything(t *testing.T, f *field) {
	kubernetes, err := testbed.FindBinaries()
	if err != nil {
		t.Fatal(err)
	}
	client := bundles(t, f.seat(t, "fra").rest())
	if _, err := client.List(t.Context(), metav1.ListOptions{ResourceVersion: "1", ResourceVersionMatch: metav1.ResourceVersionMatchExact}); err == nil {
		f.passHistory(t, "fra")
	}
	if err := client.DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{}); err != nil {
		t.Fatal(err)
	}
	direct := filepath.Join(t.TempDir(), "direct")
	if err := os.WriteFile(direct, []byte(f.must(t, "fra", nil, "kubeconfig").Out), 0o600); err != nil {
		t.Fatal(err)
	}
	script := []string{filepath.Join("testdata", "kubectl.txtar")}
	doors := map[string]string{"at a member": direct}
	for _, c := range f.bed.Clusters() {
		doors["through "+c.Name()] = c.Kubeconfig()
	}
	for door, kubeconfig := range doors {
		t.Run(door, func(t *testing.T) {
			explained(t, kubernetes.Path(testbed.Kubectl), kubeconfig)
			testscript.Run(t, testscript.Params{Files: script, Setup: func(env *testscript.Env) error {
				env.Setenv("PATH", kubernetes.Dir()+string(os.PathListSeparator)+env.Getenv("PATH"))
				env.Setenv("KUBECONFIG", kubeconfig)
				env.Setenv("HOME", env.WorkDir)
				return nil
			}, Condition: func(word string) (bool, error) {
				if word != "cluster" {
					return false, fmt.Errorf("unknown condition %q", word)
				}
				return kubeconfig != direct, nil
			}, Deadline: time.Now().Add(10 * time.Minute)})
		})
	}
	t.Run("and the same in each cluster", func(t *testing.T) { sameEverywhere(t, f) })
}

// sameEverywhere compares, byte by byte, what the clusters' own APIs say that the fleet was at one revision. It leaves no bundles.
func sameEverywhere(t *testing.T, f *field) {
	f.must(t, "fra", shop("1"), applyShop("--wait")...)
	defer f.must(t, "fra", nil, "delete", "bundle", "shop", "--yes", "--wait")
	now, err := bundles(t, f.seat(t, "fra").rest()).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, resource := range []string{"fleets", "clusters", "bundles", "bundlerevisions", "rollouts", "users", "changes"} {
		path := fmt.Sprintf("/apis/fleet.hanse.dev/v1alpha1/%s?resourceVersion=%s&resourceVersionMatch=Exact", resource, now.GetResourceVersion())
		want := f.mustKubectl(t, "fra", "", "get", "--raw", path)
		mentions(t, want, `"uid":`)
		for _, c := range f.bed.Clusters() {
			until(t, 2*time.Minute, func(ctx context.Context) error {
				said, err := f.kubectl(ctx, c.Name(), "", "get", "--raw", path)
				if diff := cmp.Diff(want, said); err == nil && diff != "" {
					err = errors.New(diff)
				}
				return err
			})
		}
	}
}

// explained waits until the kinds can be explained: a kube-apiserver fetches the texts of a new API in its own time.
func explained(t *testing.T, kubectl, kubeconfig string) {
	t.Helper()
	home := t.TempDir() // kubectl keeps what it has discovered
	took := until(t, 3*time.Minute, func(ctx context.Context) error {
		cmd := exec.CommandContext(ctx, kubectl, "--kubeconfig", kubeconfig, "explain", "bundles.fleet.hanse.dev")
		cmd.Env = append(ownEnv(), "HOME="+home)
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
	t.Logf("explained after %s", round(took))
}
