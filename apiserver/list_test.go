package apiserver

import (
	"fmt"
	"io"
	"net/http"
	"testing"

	"k8s.io/client-go/rest"
)

// BenchmarkList is a list of 1,000 bundles, from the request to its bytes, without a network.
func BenchmarkList(b *testing.B) {
	l := start(b, nil)
	for i := range 1000 {
		l.put(b, fmt.Sprintf("/bundles/b-%04d", i), bundle(fmt.Sprintf("b-%04d", i)).Object)
	}
	client, err := rest.HTTPClientFor(l.local())
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		answer, err := client.Get(l.local().Host + "/apis/fleet.hanse.dev/v1alpha1/bundles")
		if err != nil {
			b.Fatal(err)
		}
		n, err := io.Copy(io.Discard, answer.Body)
		if err != nil || answer.StatusCode != http.StatusOK {
			b.Fatal(err, answer.Status)
		}
		b.SetBytes(n)
	}
}
