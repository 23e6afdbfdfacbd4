package apiserver

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// TestDecodeIsTheCodecs compares what is read from the store with what the machinery's codec would have read.
func TestDecodeIsTheCodecs(t *testing.T) {
	scheme, err := fullScheme()
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{scheme: scheme}
	codec := serializer.NewCodecFactory(scheme).LegacyCodec(v1alpha1.SchemeGroupVersion)
	values := map[string]func() runtime.Object{
		`{"apiVersion":"fleet.hanse.dev/v1alpha1","kind":"Bundle","metadata":{"name":"shop","generation":3,"managedFields":[{"manager":"m","fieldsV1":{"f:spec":{}}}]},"spec":{"placement":{"clusterSelector":{}},"manifests":[{"kind":"A","n":9007199254740993}]},"later":{"a":1}}`: newOf[v1alpha1.Bundle],
		`{"apiVersion":"fleet.hanse.dev/v1alpha1","kind":"Cluster","metadata":{"name":"fra","creationTimestamp":"2026-11-26T00:00:00Z"},"spec":{"region":"eu"}}`:                                                                                                                     newOf[v1alpha1.Cluster],
		`{"apiVersion":"fleet.hanse.dev/v1alpha1","kind":"Cluster","metadata":{"name":"fra"},"SPEC":{"region":"eu"}}`:                                                                                                                                                                newOf[v1alpha1.Cluster],
		`{"apiVersion":"fleet.hanse.dev/v1alpha1","kind":"Fleet","metadata":{"name":"acme"}}`:                                                                                                                                                                                        newOf[v1alpha1.Fleet],
		`{"apiVersion":"fleet.hanse.dev/v1alpha1","kind":"User","metadata":{"name":"ada"}}`:                                                                                                                                                                                          newOf[v1alpha1.Cluster],
		`{"kind":"Cluster"}`: newOf[v1alpha1.Cluster],
		`{`:                  newOf[v1alpha1.Cluster],
	}
	for value, empty := range values {
		want, got := empty(), empty()
		obj, _, wantErr := codec.Decode([]byte(value), nil, want)
		wrong := wantErr != nil || obj != want
		if err := s.decode([]byte(value), got); wrong != (err != nil) {
			t.Errorf("%s: %v, by the codec %T, %v", value, err, obj, wantErr)
		} else if diff := cmp.Diff(want, got); !wrong && diff != "" {
			t.Errorf("%s: %s", value, diff)
		}
	}
}
