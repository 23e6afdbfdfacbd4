package facts

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/hanse-fleet/hanse/chaos/testbed/testbedtest"
)

func TestARealClusterIsSurveyedPageByPage(t *testing.T) {
	config, err := testbedtest.Cluster(t).REST()
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1
	client, ctx := kubernetes.NewForConfigOrDie(config), t.Context()
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}}
	must(client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{}))
	node.Status = corev1.NodeStatus{Allocatable: list("64", "256Gi"), Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}}
	must(client.CoreV1().Nodes().UpdateStatus(ctx, node, metav1.UpdateOptions{}))
	cordoned := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n2"}, Spec: corev1.NodeSpec{Unschedulable: true}}
	must(client.CoreV1().Nodes().Create(ctx, cordoned, metav1.CreateOptions{}))
	cordoned.Status = node.Status
	must(client.CoreV1().Nodes().UpdateStatus(ctx, cordoned, metav1.UpdateOptions{}))
	must(client.StorageV1().StorageClasses().Create(ctx, &storagev1.StorageClass{
		ObjectMeta: metav1.ObjectMeta{Name: "fast", Annotations: map[string]string{defaultClass: "true"}}, Provisioner: "csi.example.com",
	}, metav1.CreateOptions{}))
	must(client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}, metav1.CreateOptions{}))
	must(client.CoreV1().ServiceAccounts("shop").Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "till"}}, metav1.CreateOptions{}))
	for i := range page + 10 {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("p", i)}, Spec: corev1.PodSpec{
			NodeName: "n1", ServiceAccountName: "till", Containers: []corev1.Container{{Name: "c", Image: "i", Resources: asks("100m", "1Mi")}},
		}}
		if i == 0 {
			pod.Spec.NodeName = "" // waits for a node
		}
		if i == 1 {
			pod.Spec.NodeName = "n2" // is to be drained
		}
		must(client.CoreV1().Pods("shop").Create(ctx, pod, metav1.CreateOptions{}))
	}
	s, err := NewSurvey(config)
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Look(ctx, Facts{})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(got.Kubernetes.Version, "v1.") {
		t.Errorf("Kubernetes is %q", got.Kubernetes.Version)
	}
	if diff := cmp.Diff([]Class{{"fast", "csi.example.com", true}}, got.Storage.Classes); diff != "" {
		t.Error(diff)
	}
	bound := int64(page + 9)
	want := Capacity{Reading: got.Capacity.Reading, Nodes: 2, ReadyNodes: 1, Pods: int32(bound), Has: Amount{64000, 256 << 30}, Asked: Amount{100 * (bound - 1), (bound - 1) << 20}}
	if diff := cmp.Diff(want, *got.Capacity); diff != "" {
		t.Error(diff)
	}
	if time.Since(got.Capacity.At) > time.Minute {
		t.Errorf("taken at %s", got.Capacity.At)
	}
}
