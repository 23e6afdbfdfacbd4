package drill

import (
	"context"
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/chaos/testbed"
)

// shop is a bundle's manifests, in a version.
func shop(version string) []byte {
	return fmt.Appendf(nil, `apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: shop}
data: {version: %q, greeting: welcome}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{port: 80}]}
`, version)
}

// withoutTimeout is for how long a write waits for a quorum that is told no --timeout.
const withoutTimeout = 30 * time.Second

func applyShop(more ...string) []string {
	return append([]string{"apply", "--bundle", "shop", "--to", "all", "-f", "-"}, more...)
}

// repairs checks that what is changed and deleted by hand is put right.
func repairs(t *testing.T, client *kubernetes.Clientset, version string) {
	t.Helper()
	if err := edit(t.Context(), client); err != nil {
		t.Fatal(err)
	}
	took := until(t, 2*time.Minute, settings(client, "shop", "settings", "greeting", "welcome"))
	t.Logf("an edited object was put right after %s", round(took))
	if err := client.CoreV1().Services("shop").Delete(t.Context(), "web", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	took = until(t, 2*time.Minute, func(ctx context.Context) error {
		_, err := client.CoreV1().Services("shop").Get(ctx, "web", metav1.GetOptions{})
		return err
	})
	t.Logf("a deleted object was put right after %s", round(took))
	until(t, 3*time.Minute, settings(client, "shop", "settings", "version", version))
}

func edit(ctx context.Context, client *kubernetes.Clientset) error {
	_, err := client.CoreV1().ConfigMaps("shop").Patch(ctx, "settings", types.MergePatchType, []byte(`{"data":{"greeting":"hi"}}`), metav1.PatchOptions{})
	return err
}

// losingTwoRegions is held on a fleet whose regions are all there, and leaves it so.
func losingTwoRegions(t *testing.T, f *field) {
	survivor := f.kubernetes(t, "fra")
	f.must(t, "iad", shop("1"), applyShop("--wait")...)
	before := f.status(t, "fra").Revision
	f.settle(t, "three vote, and any region can be lost", 3, 3)

	t.Run("one of them is lost, and with nobody to vote in its place status says that no more can be", func(t *testing.T) {
		f.kill(t, "us")
		f.must(t, "fra", userNamed("without-us"), "apply", "-f", "-")
		until(t, goesOn, f.seat(t, "fra").sees(func(s v1alpha1.FleetStatus) error { return truthful(s, f.dead) }))
		mentions(t, f.tell(t, "fra", nil, "status").Out, "quorum 2 of 3", "can lose: no region")
	})
	f.kill(t, "ap")

	t.Run("a read answers, and says that it may be old, and of which revision it is", func(t *testing.T) {
		args := []string{"get", "bundles"}
		said := ended(t, 0, f.tell(t, "fra", nil, args...), args)
		mentions(t, said.Out, "shop")
		revision := f.status(t, "fra").Revision
		mentions(t, said.Talk, "warning", fmt.Sprintf("revision %d", revision))
		t.Logf("%s", said)
	})

	t.Run("a write ends with exit 4, and was not made", func(t *testing.T) {
		args := applyShop("--timeout", "5s")
		said := ended(t, 4, f.tell(t, "fra", shop("2"), args...), args)
		mentions(t, said.Talk, "no quorum", "fra reaches 1 of 3 voters", "iad", "sin", "nothing was written")
		if said.Took < 4*time.Second || said.Took >= withoutTimeout {
			t.Errorf("it was to wait for 5 s, and waited for %s", said.Took)
		}
		t.Logf("%s", said)
	})

	t.Run("status says what is lost, and that nothing more can be", func(t *testing.T) {
		args := []string{"status"}
		said := ended(t, 3, f.tell(t, "fra", nil, args...), args)
		mentions(t, said.Out, "quorum 1 of 3", "can lose: no region", "gone")
		t.Logf("%s", said)
	})

	t.Run("drift is still put right", func(t *testing.T) { repairs(t, survivor, "1") })

	t.Run("the survivor's daemon, killed and alone, repairs from its grants and does not go back", func(t *testing.T) {
		last := f.status(t, "fra").Revision
		if err := f.cluster(t, "fra").Kill(testbed.Member); err != nil {
			t.Fatal(err)
		}
		if err := edit(t.Context(), survivor); err != nil { // while nobody looks
			t.Fatal(err)
		}
		if err := f.bed.Heal(t.Context(), "eu"); err != nil {
			t.Fatal(err)
		}
		if now := f.status(t, "fra").Revision; now < last {
			t.Errorf("revision %d before the kill, %d after", last, now)
		}
		took := until(t, 2*time.Minute, settings(survivor, "shop", "settings", "greeting", "welcome"))
		t.Logf("what was changed while the daemon was dead was put right %s after it answered", round(took))
		repairs(t, survivor, "1")
	})

	t.Run("both regions return, and everything goes on by itself", func(t *testing.T) {
		begun := time.Now()
		f.healAll(t)
		t.Logf("both regions run after %s", round(time.Since(begun)))
		mentions(t, f.must(t, "sin", nil, "get", "users", "-o", "name").Out, "without-us")
		said := f.must(t, "sin", shop("3"), applyShop("--wait")...)
		mentions(t, said.Out, "bundle shop applied at revision")
		t.Logf("%s", said)
		for _, c := range f.bed.Clusters() {
			until(t, 3*time.Minute, settings(f.kubernetes(t, c.Name()), "shop", "settings", "version", "3"))
			if now := f.status(t, c.Name()).Revision; now <= before {
				t.Errorf("%s is at revision %d, and %d was there before", c.Name(), now, before)
			}
		}
	})
	f.must(t, "fra", nil, "delete", "bundle", "shop", "--yes", "--wait")
}
