package bench

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	kube "k8s.io/client-go/rest"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// secret is the bearer token of the client, which is the kube-apiserver's admin.
const secret = "bench"

// kubernetesPlane is a kube-apiserver with its defaults before three etcds with theirs, and the kind as a
// CustomResourceDefinition.
func kubernetesPlane(ctx context.Context, dir, apiServer, etcdProgram string) (*plane, error) {
	p := &plane{name: "kube-apiserver"}
	store, err := etcd(dir, etcdProgram, 0, 0)
	if err != nil {
		return p, err
	}
	p.stop = append(p.stop, store.close)
	if err := store.open(ctx); err != nil {
		return p, err
	}
	var servers []string
	for _, n := range store.nodes {
		servers = append(servers, "http://"+n.api)
	}
	command, address, err := apiServerCommand(dir, apiServer, servers)
	if err != nil {
		return p, err
	}
	n := &node{name: p.name, log: filepath.Join(dir, "kube-apiserver.log"), command: command}
	p.stop = append(p.stop, n.kill)
	if err := n.start(); err != nil {
		return p, err
	}
	p.resident = []int{n.process.Process.Pid, store.nodes[0].process.Process.Pid}
	p.config = &kube.Config{Host: "https://" + address, BearerToken: secret, TLSClientConfig: kube.TLSClientConfig{Insecure: true}}
	return p, until(ctx, func() error { return defineBundles(ctx, p.config) })
}

func apiServerCommand(dir, program string, etcds []string) (command []string, address string, err error) {
	host, port, err := net.SplitHostPort(freeTCP())
	if err != nil {
		return nil, "", err
	}
	key, tokens := filepath.Join(dir, "accounts.key"), filepath.Join(dir, "tokens.csv")
	if err := writeKey(key); err != nil {
		return nil, "", err
	}
	if err := os.WriteFile(tokens, []byte(secret+`,bench,bench,"system:masters"`+"\n"), 0o600); err != nil {
		return nil, "", fmt.Errorf("write tokens: %w", err)
	}
	return []string{
		program, "--etcd-servers=" + strings.Join(etcds, ","), "--bind-address=" + host, "--advertise-address=" + host, "--secure-port=" + port,
		"--cert-dir=" + filepath.Join(dir, "certificates"), "--endpoint-reconciler-type=none", "--service-cluster-ip-range=10.96.0.0/16",
		"--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file=" + key, "--service-account-signing-key-file=" + key,
		"--token-auth-file=" + tokens, "--authorization-mode=RBAC",
	}, net.JoinHostPort(host, port), nil
}

func writeKey(path string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make key: %w", err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return fmt.Errorf("encode key: %w", err)
	}
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		return fmt.Errorf("write key: %w", err)
	}
	return nil
}

// bundles is the kind that the rows write and read.
var bundles = v1alpha1.SchemeGroupVersion.WithResource("bundles")

var definitions = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}

// defineBundles makes the kind, and fails until it is served.
func defineBundles(ctx context.Context, config *kube.Config) error {
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return err
	}
	name := bundles.Resource + "." + bundles.Group
	definition := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": map[string]any{"name": name},
		"spec": map[string]any{
			"group": bundles.Group, "scope": "Cluster", "names": map[string]any{"plural": bundles.Resource, "singular": "bundle", "kind": "Bundle", "listKind": "BundleList"},
			"versions": []any{map[string]any{
				"name": bundles.Version, "served": true, "storage": true, "subresources": map[string]any{"status": map[string]any{}},
				"schema": map[string]any{"openAPIV3Schema": map[string]any{"type": "object", "properties": map[string]any{
					"spec":   map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true},
					"status": map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true},
				}}},
			}},
		},
	}}
	if _, err := client.Resource(definitions).Get(ctx, name, metav1.GetOptions{}); err != nil {
		if _, err := client.Resource(definitions).Create(ctx, definition, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	_, err = client.Resource(bundles).List(ctx, metav1.ListOptions{})
	return err
}
