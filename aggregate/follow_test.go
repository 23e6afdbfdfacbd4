package aggregate

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/scheme"
)

// trustOf is the ConfigMap that says by which authority kube-apiserver passes requests on.
func trustOf(authority []byte) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: metav1.ObjectMeta{Name: trustName, Namespace: trustNamespace},
		Data:       map[string]string{"requestheader-client-ca-file": string(authority), "requestheader-username-headers": `["X-Remote-User"]`},
	}
}

func TestWhomToBelieveFollowsTheCluster(t *testing.T) {
	client := fake.NewSimpleDynamicClient(scheme.Scheme, trustOf(newAuthority(t).pem))
	maps := client.Resource(configMaps).Namespace(trustNamespace)
	a := &Aggregation{config: Config{Logger: slog.New(slog.DiscardHandler)}, client: client, frontProxy: new(frontProxy)}
	ctx, cancel := context.WithCancel(t.Context())
	var following sync.WaitGroup
	defer following.Wait()
	defer cancel()
	seen := make(chan *trust)
	following.Go(func() {
		follow(ctx, maps, trustName, func(found *unstructured.Unstructured, err error) {
			if err == nil {
				_ = a.believe(found) // what is gone is an error, and nil
			}
			select {
			case seen <- a.trust.Load():
			case <-ctx.Done():
			}
		})
	})
	first := <-seen
	if first == nil {
		t.Fatal("nobody is believed")
	}
	// The fake begins its watch after the list, and forgets what came in between: so change until it is seen.
	second := first
	for second == first {
		if _, err := maps.Update(ctx, newObject(configMaps, "", trustOf(newAuthority(t).pem)).wanted, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		select {
		case second = <-seen:
		case <-time.After(100 * time.Millisecond):
		}
	}
	if second == nil {
		t.Fatal("nobody is believed after a change")
	}
	if err := maps.Delete(ctx, trustName, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	for last := second; last != nil; {
		last = <-seen
	}
}
