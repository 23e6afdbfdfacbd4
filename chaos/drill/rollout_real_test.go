package drill

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/chaos/testbed"
)

// carried is how long a drill waits for a change to go through regions of a busy machine.
const carried = 3 * time.Minute

// Six clusters in three regions: a bad image stops in the first region; then the region that leads, and is in change, dies in the
// middle of a rollout, while a member is removed and another joins.
func TestChangesGoByRegion(t *testing.T) {
	t.Parallel()
	f := newField(t, 3, 2)
	f.hollow(t, "shop")
	f.must(t, "fra", []byte(oneRegionAtATime), "apply", "-f", "-")
	f.leads(t, "eu") // and hears of all, so that waves come in the order of their regions
	f.roll(t, "1")
	f.everywhere(t, "1")
	t.Run("a bad image stops in the first region", func(t *testing.T) { f.badImage(t) })
	t.Run("a day in the life of two bundles", func(t *testing.T) { aDay(t, f) })
	t.Run("a region dies in the middle of a rollout, one member goes, and another comes", func(t *testing.T) { f.midway(t) })
}

const oneRegionAtATime = `
apiVersion: fleet.hanse.dev/v1alpha1
kind: Fleet
metadata: {name: acme}
spec: {rollout: {soak: 4s, maxDomains: 1}}
`

// web is a Deployment that fails when its pods are not ready after 8 s.
func web(image string) []byte {
	return fmt.Appendf(nil, `
{apiVersion: v1, kind: Namespace, metadata: {name: shop}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  progressDeadlineSeconds: 8
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "web:%s"}]}
`, image)
}

func (f *field) roll(t *testing.T, image string) {
	t.Helper()
	f.must(t, f.survivor(t), web(image), "apply", "--bundle", "web", "--to", "all", "-f", "-")
}

func (f *field) deployment(ctx context.Context, t testing.TB, cluster string) (*appsv1.Deployment, error) {
	return f.kubernetes(t, cluster).AppsV1().Deployments("shop").Get(ctx, "web", metav1.GetOptions{})
}

// everywhere waits until the pods of an image are ready in every cluster.
func (f *field) everywhere(t *testing.T, image string) {
	t.Helper()
	for _, c := range f.bed.Clusters() {
		until(t, carried, func(ctx context.Context) error {
			d, err := f.deployment(ctx, t, c.Name())
			if err != nil {
				return err
			}
			s := d.Status
			if got := d.Spec.Template.Spec.Containers[0].Image; got != "web:"+image || s.AvailableReplicas != 1 || s.UpdatedReplicas != 1 || s.ObservedGeneration != d.Generation {
				return fmt.Errorf("%s has %s, of which %d are updated and %d available", c.Name(), got, s.UpdatedReplicas, s.AvailableReplicas)
			}
			return nil
		})
	}
}

// versions are how often each cluster's Deployment was changed.
func (f *field) versions(t *testing.T) map[string]int64 {
	t.Helper()
	all := map[string]int64{}
	for _, c := range f.bed.Clusters() {
		d, err := f.deployment(t.Context(), t, c.Name())
		if err != nil {
			t.Fatal(err)
		}
		all[c.Name()] = d.Generation
	}
	return all
}

// rollouts are those of a bundle that are left, that of the newest revision first.
func (f *field) rollouts(t *testing.T, bundle string) []v1alpha1.Rollout {
	t.Helper()
	var list v1alpha1.RolloutList
	if err := json.Unmarshal([]byte(f.must(t, f.survivor(t), nil, "get", "rollouts", "-o", "json").Out), &list); err != nil {
		t.Fatal(err)
	}
	list.Items = slices.DeleteFunc(list.Items, func(r v1alpha1.Rollout) bool { return r.Spec.Bundle != bundle })
	slices.SortFunc(list.Items, func(a, b v1alpha1.Rollout) int {
		return cmp.Or(cmp.Compare(b.Spec.Generation, a.Spec.Generation), cmp.Compare(b.Spec.Number, a.Spec.Number))
	})
	return list.Items
}

// awaits waits until the rollout of a bundle's newest revision is as it should.
func (f *field) awaits(t *testing.T, bundle string, as func(v1alpha1.Rollout) bool) v1alpha1.Rollout {
	t.Helper()
	defer f.tellBundle(t, bundle)
	var newest v1alpha1.Rollout
	until(t, carried, func(context.Context) error {
		all := f.rollouts(t, bundle)
		if len(all) == 0 {
			return errors.New("no rollout has begun")
		}
		if newest = all[0]; !as(newest) {
			return fmt.Errorf("%s is %s: %s", newest.Name, newest.Status.Phase, newest.Status.Message)
		}
		return nil
	})
	return newest
}

func inPhase(p v1alpha1.RolloutPhase) func(v1alpha1.Rollout) bool {
	return func(r v1alpha1.Rollout) bool { return r.Status.Phase == p }
}

func (f *field) badImage(t *testing.T) {
	f.awaits(t, "web", inPhase(v1alpha1.RolloutComplete))
	before := f.versions(t)
	f.roll(t, "bad")
	stopped := f.awaits(t, "web", inPhase(v1alpha1.RolloutFailed))
	first, after := stopped.Spec.Waves[0], f.versions(t)
	for _, c := range f.bed.Clusters() {
		if in := c.Region() == first.Domain; in != (after[c.Name()] > before[c.Name()]) {
			t.Errorf("%s in %s: changed %d times", c.Name(), c.Region(), after[c.Name()]-before[c.Name()])
		}
	}
	if !slices.Equal(stopped.Status.InChange, []string{first.Domain}) {
		t.Errorf("in change: %v", stopped.Status.InChange)
	}
	slices.Sort(first.Clusters)
	one := first.Clusters[0]
	said := f.must(t, "iad", nil, "explain", "web", "--cluster", one).Out
	mentions(t, said, "is failed since ", ": it fails in "+strings.Join(first.Clusters, ", ")+": deployment shop/web", "Progress deadline exceeded", "next: hanse rollout rollback web")
	t.Logf("hanse explain web --cluster %s:\n%s", one, said)
	mentions(t, ended(t, 3, f.tell(t, "iad", nil, "status"), nil).Out, "stopped   web: ")

	f.must(t, "iad", nil, "rollout", "rollback", "web")
	f.everywhere(t, "1")
	f.awaits(t, "web", inPhase(v1alpha1.RolloutComplete))
	for name, version := range f.versions(t) {
		if f.cluster(t, name).Region() != first.Domain && version != before[name] {
			t.Errorf("%s was changed, and need not have been", name)
		}
	}
}

// gated is the bundle web with a gate that the drill opens, region by region: so a wave is underway for as long as the drill wants.
func gated(image string) []byte {
	bundle := `
apiVersion: fleet.hanse.dev/v1alpha1
kind: Bundle
metadata: {name: web}
spec:
  placement: {clusterSelector: {}}
  rollout:
    soak: 0s
    gates: [{name: open, object: {apiVersion: v1, kind: Service, namespace: shop, name: gate}, condition: {type: Open}}]
  manifests:
`
	for manifest := range strings.SplitSeq(string(web(image)), "\n---\n") {
		bundle += "    - " + strings.ReplaceAll(strings.TrimSpace(manifest), "\n", "\n      ") + "\n"
	}
	return []byte(bundle)
}

// open lets the wave of a region pass the gate of web.
func (f *field) open(t *testing.T, region string) {
	t.Helper()
	for _, c := range f.bed.Clusters() {
		if c.Region() != region {
			continue
		}
		services := f.kubernetes(t, c.Name()).CoreV1().Services("shop")
		gate := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "gate"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}}
		gate, err := services.Create(t.Context(), gate, metav1.CreateOptions{})
		if err == nil {
			gate.Status.Conditions = []metav1.Condition{{Type: "Open", Status: metav1.ConditionTrue, Reason: "Drill", LastTransitionTime: metav1.Now()}}
			_, err = services.UpdateStatus(t.Context(), gate, metav1.UpdateOptions{})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// leads sees to it that a region leads, though somebody else was elected meanwhile.
func (f *field) leads(t *testing.T, region string) {
	t.Helper()
	until(t, carried, func(context.Context) error {
		leader := f.status(t, "fra").Leader
		if leader != "" && f.cluster(t, leader).Region() == region {
			return nil
		}
		said := f.tell(t, "fra", nil, "lead", region)
		return fmt.Errorf("%q leads; hanse lead %s: exit %d: %s", leader, region, said.Code, said.Out)
	})
}

// midway loses the region eu while it leads and is in change: its gate is shut, so it cannot have settled.
func (f *field) midway(t *testing.T) {
	f.awaits(t, "web", inPhase(v1alpha1.RolloutComplete))
	f.open(t, "ap")
	f.open(t, "us")
	before := f.versions(t)
	f.must(t, "fra", gated("2"), "apply", "-f", "-")
	f.awaits(t, "web", func(r v1alpha1.Rollout) bool { return r.Status.Wave == 2 && waveState(r, 2) == "at gate" })
	f.leads(t, "eu")
	f.kill(t, "eu")
	t.Log("eu dies, which leads and is in change")
	f.must(t, "iad", nil, "remove", "pdx", "--yes")
	f.removed(t, "pdx")
	lax := f.takesOver(t, "lax", "pdx")
	lost := f.awaits(t, "web", inPhase(v1alpha1.RolloutFailed))
	t.Logf("%s is %s: %s", lost.Name, lost.Status.Phase, lost.Status.Message)
	mentions(t, lost.Status.Message, "fault domain eu was lost while it was in change")
	if state := waveState(lost, 3); state != "to come" {
		t.Errorf("the rollout stopped, and its third wave is %s", state)
	}
	for _, cluster := range []string{"iad", "pdx"} {
		d, err := f.deployment(t.Context(), t, cluster)
		if err != nil {
			t.Fatal(err)
		}
		if d.Generation != before[cluster] {
			t.Errorf("%s was changed, though the rollout stopped before it", cluster)
		}
	}
	f.must(t, "iad", nil, "rollout", "resume", "web")
	f.awaits(t, "web", inPhase(v1alpha1.RolloutComplete)) // eu is owed it, unless the others had heard that it runs there
	f.healAll(t)
	f.open(t, "eu")
	f.everywhere(t, "2")
	last := f.awaits(t, "web", func(r v1alpha1.Rollout) bool { return r.Status.Phase.Ended() && len(r.Status.Owed) == 0 })
	if last.Status.Phase != v1alpha1.RolloutComplete || last.Name != lost.Name {
		t.Errorf("%s ended as %s: %s", last.Name, last.Status.Phase, last.Status.Message)
	}
	for name, version := range f.versions(t) {
		if version != before[name]+1 {
			t.Errorf("%s was changed %d times", name, version-before[name])
		}
	}
	if err := lax.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

// waveState says how far the wave of a number is.
func waveState(r v1alpha1.Rollout, number int) string {
	if len(r.Status.Waves) < number {
		return "to come"
	}
	switch s := r.Status.Waves[number-1]; {
	case s.Settled != nil, s.Released != nil:
		return "over"
	case s.Healthy != nil:
		return "past its gate"
	case s.Ran != nil:
		return "at gate"
	case s.Granted != nil:
		return "granted"
	}
	return "to come"
}

// removed waits until a member that was removed has taken what is its own out of its cluster.
func (f *field) removed(t *testing.T, name string) {
	t.Helper()
	until(t, carried, func(context.Context) error {
		if _, runs := f.cluster(t, name).Pids()[testbed.Member]; runs {
			return errors.New(name + " still runs")
		}
		return nil
	})
}

// takesOver lets a new member in, in the cluster of one that was removed.
func (f *field) takesOver(t *testing.T, name, from string) *Daemon {
	t.Helper()
	old := f.cluster(t, from)
	d, err := NewDaemon(f.hanse, folder(t), name, old.Region())
	if err != nil {
		t.Fatal(err)
	}
	token := strings.TrimSpace(f.must(t, "iad", nil, "token", "create").Out)
	enlist(t, d, []byte(token), "join")
	if err := d.Start("--kubeconfig", old.Kubeconfig()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bury(t, d) })
	return d
}
