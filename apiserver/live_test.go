package apiserver

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/apiserver/internal/onemember"
	"github.com/hanse-fleet/hanse/apiserver/kvstorage"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// live is a server under test, with its store.
type live struct {
	*onemember.Store
	works  *fakeWorks
	tcp    string
	socket string
	server tls.Certificate
	stop   func()
}

// start runs a server of fleet acme until the test ends. The config is the test's to change.
func start(t testing.TB, change func(*Config)) *live {
	t.Helper()
	l := &live{Store: onemember.New(), works: newFakeWorks(), server: certificate(t), socket: filepath.Join(t.TempDir(), "s")}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	socket, err := net.Listen("unix", l.socket)
	if err != nil {
		t.Fatal(err)
	}
	l.tcp = tcp.Addr().String()
	c := Config{
		Fleet: "acme", Cluster: "fra", Certificate: l.server, TCP: tcp, Socket: socket, Store: l.Store, Computed: map[string]Computed{"works": l.works, "clustermetrics": newFakeWorks()},
		Timing: kvstorage.Timing{Read: 300 * time.Millisecond, Behind: 300 * time.Millisecond},
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), Version: "v0.0.0-test",
	}
	if change != nil {
		change(&c)
	}
	l.run(t, c)
	return l
}

func (l *live) run(t testing.TB, c Config) {
	t.Helper()
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	l.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	t.Cleanup(l.stop)
}

// certificate is a self-signed one of a new key.
func certificate(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"member.hanse"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func pin(t *testing.T, c tls.Certificate) string {
	t.Helper()
	leaf, err := x509.ParseCertificate(c.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	return v1alpha1.PinOf(leaf.RawSubjectPublicKeyInfo)
}

func pemOf(t *testing.T, c tls.Certificate) (cert, key []byte) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// put writes an object behind the server's back.
func (l *live) put(t testing.TB, key string, obj any) {
	t.Helper()
	data, err := json.Marshal(obj)
	if err != nil {
		t.Fatal(err)
	}
	l.Put(key, string(data))
}

// user makes a person with a role, and returns how it connects over TCP.
func (l *live) user(t *testing.T, name string, role v1alpha1.Role) *rest.Config {
	t.Helper()
	cert := certificate(t)
	l.put(t, v1alpha1.KeyUsers+name, v1alpha1.User{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.SchemeGroupVersion.String(), Kind: "User"},
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: "u-1"},
		Spec:       v1alpha1.UserSpec{Pin: pin(t, cert), Role: role},
	})
	return l.tcpConfig(t, cert)
}

func (l *live) tcpConfig(t *testing.T, cert tls.Certificate) *rest.Config {
	t.Helper()
	ca, _ := pemOf(t, l.server)
	certPEM, keyPEM := pemOf(t, cert)
	return quiet(&rest.Config{Host: "https://" + l.tcp, TLSClientConfig: rest.TLSClientConfig{
		ServerName: "member.hanse", CAData: ca, CertData: certPEM, KeyData: keyPEM,
	}})
}

// local connects over the Unix socket.
func (l *live) local() *rest.Config {
	return quiet(&rest.Config{Host: "http://hanse", Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", l.socket)
	}})
}

func quiet(c *rest.Config) *rest.Config {
	c.QPS, c.Burst = 1000, 1000
	c.WarningHandler = rest.NoWarnings{}
	return c
}

func client(t *testing.T, c *rest.Config, plural string) dynamic.ResourceInterface {
	t.Helper()
	d, err := dynamic.NewForConfig(c)
	if err != nil {
		t.Fatal(err)
	}
	return d.Resource(v1alpha1.SchemeGroupVersion.WithResource(plural))
}

// httpClient is a plain client of the same config.
func httpClient(t *testing.T, c *rest.Config) *http.Client {
	t.Helper()
	h, err := rest.HTTPClientFor(c)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// object makes one of our kinds.
func object(kind, name string, spec map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": v1alpha1.SchemeGroupVersion.String(), "kind": kind,
		"metadata": map[string]any{"name": name}, "spec": spec,
	}}
}

func configMap(name string) map[string]any {
	return map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": name, "namespace": "shop"}}
}

func bundle(name string, manifests ...any) *unstructured.Unstructured {
	return object("Bundle", name, map[string]any{
		"placement": map[string]any{"clusters": []any{"fra"}}, "manifests": manifests,
	})
}

// fakeWorks is a computed kind that tests change.
type fakeWorks struct {
	mu      sync.Mutex
	items   []Object
	version uint64
	changed chan struct{}
	of      func() store.Revision // what it is computed from; nil: from whatever is asked for
}

func newFakeWorks() *fakeWorks {
	return &fakeWorks{version: uint64(time.Now().UnixNano()), changed: make(chan struct{})}
}

func (f *fakeWorks) List() ([]Object, uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.items, f.version
}

func (f *fakeWorks) Changed() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.changed
}

func (f *fakeWorks) Reach(ctx context.Context, rev store.Revision) store.Revision {
	if f.of == nil {
		return rev
	}
	for f.of() < rev {
		select {
		case <-f.Changed():
		case <-ctx.Done():
			return f.of()
		}
	}
	return f.of()
}

func (f *fakeWorks) set(items ...Object) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.items = items
	f.version++
	close(f.changed)
	f.changed = make(chan struct{})
}

func work(bundle, cluster, applied string) *v1alpha1.Work {
	w := &v1alpha1.Work{Spec: v1alpha1.WorkSpec{Bundle: bundle, Cluster: cluster}, Status: v1alpha1.WorkStatus{Applied: applied}}
	w.Name = v1alpha1.WorkName(bundle, cluster)
	return w
}
