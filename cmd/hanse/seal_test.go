package main

import (
	"bytes"
	"maps"
	"strings"
	"testing"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/secrets"
	"sigs.k8s.io/yaml"
)

// FuzzSealManifest: a Secret as a person hands it over is refused, or opens in the cluster as it was.
func FuzzSealManifest(f *testing.F) {
	id, err := secrets.NewIdentity()
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{
		"", "kind: Secret", "{}", "apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: b}\ndata: {c: ZA==}",
		"apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: b}\nstringData: {c: d, 'x y': z}\nimmutable: true\ntype: kubernetes.io/tls",
		`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"A"},"data":{"c":null}}`, "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: [1]",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := sealedManifest("-", bytes.NewReader(text))
		if err != nil {
			return
		}
		s.spec.Group = "readers"
		manifest, err := s.sealed(id.Recipient())
		if err != nil {
			return
		}
		var made v1alpha1.FleetSecret
		if err := yaml.Unmarshal(manifest, &made); err != nil {
			t.Fatalf("the manifest cannot be read: %v", err)
		}
		target := made.Target()
		got, err := secrets.Open(id, secrets.Target{Namespace: target.Namespace, Name: target.Name}, made.Spec.Data)
		if err != nil || !maps.EqualFunc(got, s.data, bytes.Equal) || !strings.Contains(string(text), "Secret") {
			t.Errorf("it opens as %d values of %d: %v", len(got), len(s.data), err)
		}
	})
}
