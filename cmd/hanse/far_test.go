package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// far is a fleet whose members are asked through one of them, over its socket: TLS, tunnels and all. What the clusters answer is
// for the tests to say.
type far struct {
	dir      string
	clusters []string
	told     map[string]string // what the member says that their certificates are, PEM
	servers  map[string]*httptest.Server
	api      func(cluster string, w http.ResponseWriter, r *http.Request)

	mu         sync.Mutex
	open, most int // tunnels: now, and as many as there may be
}

// newFar makes a fleet of so many clusters, c00 and so on, that have one pod each.
func newFar(t *testing.T, n int) *far {
	t.Helper()
	dir, err := os.MkdirTemp("", "far") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	f := &far{dir: dir, told: map[string]string{}, servers: map[string]*httptest.Server{}, api: onePod, most: 64}
	if err := os.WriteFile(filepath.Join(dir, adminFile), certified(t, "acme", "anna"), 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		f.add(t, fmt.Sprintf("c%02d", i))
	}
	l, err := net.Listen("unix", filepath.Join(dir, socketName))
	if err != nil {
		t.Fatal(err)
	}
	member := &httptest.Server{Listener: l, Config: &http.Server{Handler: f}}
	member.Start()
	t.Cleanup(member.Close)
	return f
}

func (f *far) add(t *testing.T, cluster string) {
	t.Helper()
	pair := certified(t, "acme", cluster)
	identity, err := tls.X509KeyPair(pair, pair)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { f.api(cluster, w, r) }))
	s.TLS, s.EnableHTTP2 = &tls.Config{Certificates: []tls.Certificate{identity}, ClientAuth: tls.RequireAnyClientCert}, true
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	block, _ := pem.Decode(pair)
	f.clusters, f.servers[cluster], f.told[cluster] = append(f.clusters, cluster), s, string(pem.EncodeToMemory(block))
}

// certified is a certificate and its key, PEM, as a member's or a person's is.
func certified(t *testing.T, fleet, name string) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"member.hanse"}, NotAfter: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC),
		URIs: []*url.URL{{Scheme: "spiffe", Host: fleet, Path: "/member/" + name}}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...)
}

func (f *far) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if cluster, ok := strings.CutPrefix(r.URL.Path, v1alpha1.PathTunnel); ok {
		f.tunnel(w, cluster)
		return
	}
	list := v1alpha1.MemberList{Fleet: "acme", Member: f.clusters[0], ServerName: "member.hanse"}
	for _, c := range f.clusters {
		list.Members = append(list.Members, v1alpha1.MemberServer{Cluster: c, Certificate: f.told[c]})
	}
	answer(w, http.StatusOK, list)
}

func (f *far) tunnel(w http.ResponseWriter, cluster string) {
	f.mu.Lock()
	busy := f.open >= f.most
	if !busy {
		f.open++
		defer func() { f.mu.Lock(); f.open--; f.mu.Unlock() }()
	}
	f.mu.Unlock()
	if busy {
		refuse(w, http.StatusTooManyRequests, "TooManyRequests", "too many connections through tunnels", nil)
		return
	}
	way, err := net.Dial("tcp", f.servers[cluster].Listener.Addr().String())
	if err != nil {
		refuse(w, http.StatusBadGateway, "", "nobody answers", nil)
		return
	}
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		way.Close()
		return
	}
	fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", v1alpha1.UpgradeTunnel)
	join(conn, way)
}

// onePod answers as a cluster with the kind pods, and one of it.
func onePod(cluster string, w http.ResponseWriter, r *http.Request) {
	switch path := strings.TrimPrefix(r.URL.Path, "/cluster"); path {
	case "/api":
		answer(w, 200, map[string]any{"kind": "APIVersions", "versions": []string{"v1"}})
	case "/apis":
		answer(w, 200, map[string]any{"kind": "APIGroupList", "apiVersion": "v1"})
	case "/api/v1":
		answer(w, 200, map[string]any{"kind": "APIResourceList", "groupVersion": "v1", "resources": []any{
			map[string]any{"name": "pods", "singularName": "pod", "namespaced": true, "kind": "Pod", "verbs": []string{"list"}},
		}})
	case "/api/v1/namespaces/default/pods":
		answer(w, 200, podTable("web-of-"+cluster))
	default:
		refuse(w, 404, "NotFound", "no such path: "+path, nil)
	}
}

func podTable(names ...string) map[string]any {
	rows := []any{}
	for _, n := range names {
		rows = append(rows, map[string]any{"cells": []any{n}})
	}
	return map[string]any{"kind": "Table", "apiVersion": "meta.k8s.io/v1", "columnDefinitions": []any{map[string]any{"name": "Name"}}, "rows": rows}
}

// heard is what hanse printed, and how it ended.
type heard struct {
	out, talk string
	code      int
}

func (f *far) hanse(ctx context.Context, args ...string) heard {
	var out, talk bytes.Buffer
	verb := append([]string{"hanse", args[0], "--data-dir", f.dir}, args[1:]...)
	code := run(ctx, verb, strings.NewReader(""), &out, &talk)
	return heard{out.String(), talk.String(), code}
}
