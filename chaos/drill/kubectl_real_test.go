package drill

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/chaos/testbed"
)

// stockKubectl is what a person does who has kubectl, and no more of hanse than a kubeconfig.
func stockKubectl(t *testing.T, f *field) {
	kubernetes, err := testbed.FindBinaries()
	if err != nil {
		t.Fatal(err)
	}
	kubectl := func(t *testing.T, input, args string) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		line := fmt.Sprintf("%s --kubeconfig <(%s kubeconfig) %s", kubernetes.Path(testbed.Kubectl), f.hanse, args)
		cmd := exec.CommandContext(ctx, "bash", "-c", line)
		cmd.Env = append(ownEnv(), "HANSE_SERVER="+f.cluster(t, "iad").HanseServer())
		cmd.Stdin = strings.NewReader(input)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("kubectl %s: %v\n%s", args, err, out)
		}
		return string(out)
	}
	const bundle = `apiVersion: fleet.hanse.dev/v1alpha1
kind: Bundle
metadata: {name: byhand}
spec:
  placement: {clusterSelector: {}}
  manifests:
    - {apiVersion: v1, kind: ConfigMap, metadata: {name: byhand, namespace: default}, data: {text: "<a> & b"}}
`
	t.Run("it applies a bundle and waits for it", func(t *testing.T) {
		mentions(t, kubectl(t, bundle, "apply --server-side -f -"), "byhand serverside-applied")
		kubectl(t, "", "wait --for=condition=Ready --timeout=30s bundle/byhand")
	})
	t.Run("it lists the fleet", func(t *testing.T) {
		mentions(t, kubectl(t, "", "get clusters,bundles,works"), "cluster.fleet.hanse.dev/fra", "bundle.fleet.hanse.dev/byhand", "byhand.sin")
	})
	t.Run("it watches", func(t *testing.T) {
		mentions(t, kubectl(t, "", "get bundles -w --request-timeout=2s || true"), "byhand")
	})
	t.Run("it explains", func(t *testing.T) {
		mentions(t, kubectl(t, "", "explain bundle.spec"), "placement", "manifests", "which clusters run the bundle")
	})
	t.Run("it patches, and the clusters follow", func(t *testing.T) {
		kubectl(t, "", `patch bundle byhand --type=json -p '[{"op":"replace","path":"/spec/manifests/0/data/text","value":"c"}]'`)
		until(t, 2*time.Minute, settings(f.kubernetes(t, "sin"), "default", "byhand", "text", "c"))
	})
	t.Run("it deletes, and the clusters follow", func(t *testing.T) {
		mentions(t, kubectl(t, "", "delete bundle byhand"), "deleted")
		f.letGo(t, "fra", "byhand")
		until(t, 2*time.Minute, func(context.Context) error {
			if out := f.must(t, "fra", nil, "get", "works").Out; strings.Contains(out, "byhand") {
				return fmt.Errorf("works:\n%s", out)
			}
			return nil
		})
	})
}
