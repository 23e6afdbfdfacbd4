package drill

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/hanse-fleet/hanse/chaos/testbed"
)

// TestKubectlFindsEverything types testdata/kubectl.txtar, with stock kubectl: at the member, and at its cluster's own
// API. With -v the transcript is shown.
func TestKubectlFindsEverything(t *testing.T) {
	f := newField(t, 1, 1)
	kubernetes, err := testbed.FindBinaries()
	if err != nil {
		t.Fatal(err)
	}
	direct := filepath.Join(t.TempDir(), "direct")
	if err := os.WriteFile(direct, []byte(f.must(t, "fra", nil, "kubeconfig").Out), 0o600); err != nil {
		t.Fatal(err)
	}
	own := f.cluster(t, "fra").Kubeconfig()
	script := []string{filepath.Join("testdata", "kubectl.txtar")}
	for door, kubeconfig := range map[string]string{"directly": direct, "through its cluster": own} {
		t.Run(door, func(t *testing.T) {
			explained(t, kubernetes.Path(testbed.Kubectl), kubeconfig)
			testscript.Run(t, testscript.Params{Files: script, Setup: func(env *testscript.Env) error {
				env.Setenv("PATH", kubernetes.Dir()+string(os.PathListSeparator)+env.Getenv("PATH"))
				env.Setenv("KUBECONFIG", kubeconfig)
				env.Setenv("HOME", env.WorkDir)
				return nil
			}, Deadline: time.Now().Add(10 * time.Minute)})
		})
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
