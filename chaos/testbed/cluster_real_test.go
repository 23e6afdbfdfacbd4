package testbed_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/hanse-fleet/hanse/chaos/testbed"
	"github.com/hanse-fleet/hanse/chaos/testbed/testbedtest"
)

func clientOf(t *testing.T, c *testbed.Cluster) *kubernetes.Clientset {
	t.Helper()
	config, err := c.REST()
	if err != nil {
		t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func TestAClusterIsReal(t *testing.T) {
	c := testbedtest.Cluster(t)
	namespaces := clientOf(t, c).CoreV1().Namespaces()
	shop := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}
	if _, err := namespaces.Create(t.Context(), shop, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}

	t.Run("it keeps what it had when it is killed and started again", func(t *testing.T) {
		before := c.Pids()
		if err := c.Kill(); err != nil {
			t.Fatal(err)
		}
		if pids := c.Pids(); len(pids) != 0 {
			t.Errorf("killed, and these run: %v", pids)
		}
		if err := c.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if after := c.Pids(); len(after) != len(before) || after[testbed.APIServer] == before[testbed.APIServer] {
			t.Errorf("before: %v, after: %v", before, after)
		}
		if _, err := namespaces.Get(t.Context(), "shop", metav1.GetOptions{}); err != nil {
			t.Error(err)
		}
	})

	t.Run("one program can be away", func(t *testing.T) {
		if err := c.Kill(testbed.APIServer); err != nil {
			t.Fatal(err)
		}
		if _, err := namespaces.Get(t.Context(), "shop", metav1.GetOptions{}); err == nil {
			t.Error("the kube-apiserver answers")
		}
		if pids := c.Pids(); pids[testbed.Etcd] == 0 {
			t.Errorf("etcd is gone too: %v", pids)
		}
		if err := c.Start(t.Context(), testbed.APIServer); err != nil {
			t.Fatal(err)
		}
	})

	t.Run("its controllers delete namespaces", func(t *testing.T) {
		if err := namespaces.Delete(t.Context(), "shop", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		deadline := time.After(3 * time.Minute)
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			_, err := namespaces.Get(t.Context(), "shop", metav1.GetOptions{})
			if apierrors.IsNotFound(err) {
				return
			}
			select {
			case <-tick.C:
			case <-deadline:
				t.Fatalf("the namespace is still there: %v", err)
			}
		}
	})
}
