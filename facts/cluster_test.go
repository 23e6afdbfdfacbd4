package facts

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func asks(cpu, memory string) corev1.ResourceRequirements {
	return corev1.ResourceRequirements{Requests: list(cpu, memory)}
}

func list(cpu, memory string) corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)}
}

func TestAPodAsksForWhatTheSchedulerCounts(t *testing.T) {
	always := corev1.ContainerRestartPolicyAlways
	for name, c := range map[string]struct {
		pod  corev1.PodSpec
		want Amount
	}{
		"nothing said":               {corev1.PodSpec{Containers: []corev1.Container{{}}}, Amount{}},
		"its containers together":    {corev1.PodSpec{Containers: []corev1.Container{{Resources: asks("1", "1Ki")}, {Resources: asks("500m", "1Ki")}}}, Amount{1500, 2048}},
		"a first step that is large": {corev1.PodSpec{InitContainers: []corev1.Container{{Resources: asks("3", "1")}}, Containers: []corev1.Container{{Resources: asks("1", "1Ki")}}}, Amount{3000, 1024}},
		"a sidecar beside a first step": {corev1.PodSpec{
			InitContainers: []corev1.Container{{Resources: asks("1", "1"), RestartPolicy: &always}, {Resources: asks("3", "1")}},
			Containers:     []corev1.Container{{Resources: asks("1", "1Ki")}},
		}, Amount{4000, 1025}},
		"an overhead":           {corev1.PodSpec{Containers: []corev1.Container{{Resources: asks("1", "1Ki")}}, Overhead: list("250m", "1")}, Amount{1250, 1025}},
		"said of the whole pod": {corev1.PodSpec{Containers: []corev1.Container{{Resources: asks("1", "1Ki")}}, Resources: &corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2")}}}, Amount{2000, 1024}},
	} {
		if got := askedBy(&c.pod); got != c.want {
			t.Errorf("%s: %v, not %v", name, got, c.want)
		}
	}
}

func TestOnlyNodesThatTakePodsHaveRoom(t *testing.T) {
	node := func(ready corev1.ConditionStatus, cordoned bool) *corev1.Node {
		return &corev1.Node{Spec: corev1.NodeSpec{Unschedulable: cordoned}, Status: corev1.NodeStatus{
			Allocatable: list("4", "8Gi"), Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: ready}},
		}}
	}
	var c Capacity
	c.addNode(node(corev1.ConditionTrue, false))
	c.addNode(node(corev1.ConditionTrue, true))
	c.addNode(node(corev1.ConditionUnknown, false))
	if diff := cmp.Diff(Capacity{Nodes: 3, ReadyNodes: 1, Has: Amount{4000, 8 << 30}}, c); diff != "" {
		t.Error(diff)
	}
}

func TestWhatIsAskedForIsOfTheNodesThatHaveRoom(t *testing.T) {
	var c Capacity
	for _, node := range []string{"takes", "cordoned", "gone"} {
		c.addPod(&corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Resources: asks("3", "1Gi")}}}, map[string]bool{"takes": true})
	}
	if diff := cmp.Diff(Capacity{Pods: 3, Asked: Amount{3000, 1 << 30}}, c); diff != "" {
		t.Error(diff)
	}
}

func TestALargeListComesPageByPage(t *testing.T) {
	left, largest := 1050, int64(0)
	err := pages(metav1.ListOptions{FieldSelector: boundPods}, func(opts metav1.ListOptions) (string, error) {
		if largest = max(largest, opts.Limit); opts.Limit == 0 || opts.FieldSelector != boundPods {
			t.Fatalf("asked for %+v", opts)
		}
		if left -= int(opts.Limit); left <= 0 {
			return "", nil
		}
		return "more", nil
	})
	if err != nil || left > 0 || largest != page {
		t.Errorf("%d are left, %d at once, %v", left, largest, err)
	}
	expired := errors.New("expired")
	calls := 0
	err = pages(metav1.ListOptions{}, func(metav1.ListOptions) (string, error) { calls++; return "more", expired })
	if !errors.Is(err, expired) || calls != 1 {
		t.Errorf("%v after %d calls", err, calls)
	}
}

func TestALookIsFollowedByALongerRest(t *testing.T) {
	for took, want := range map[time.Duration]time.Duration{0: time.Minute, 10 * time.Second: time.Minute, 2 * time.Minute: 8 * time.Minute} {
		if got := Rest(took); got != want {
			t.Errorf("after %s it rests %s", took, got)
		}
	}
}

func TestSpeedIsNotMeasuredWhenNobodyWaits(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := MeasureSpeed(ctx); got != 0 {
		t.Errorf("it is %d", got)
	}
}

func BenchmarkRunOfMeasureSpeed(b *testing.B) {
	numbers, scratch := unordered(), make([]uint64, sorted)
	for b.Loop() {
		run(numbers, scratch)
	}
}
