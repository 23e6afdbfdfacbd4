package drill

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/hanse-fleet/hanse/aggregate"
)

const registeredName = "v1alpha1.fleet.hanse.dev"

// lifeOf is the Job that says for how long a cluster's member lives, as kubectl names it; empty when there is none.
func (f *field) lifeOf(t *testing.T, cluster string) string {
	t.Helper()
	name := f.mustKubectl(t, cluster, "", "-n", "hanse-system", "get", "service", "hanse-alive", "--ignore-not-found", "-o", "jsonpath={.metadata.ownerReferences[0].name}")
	if name == "" {
		return ""
	}
	return "job/" + name
}

// standIn registers in fra what its dead member registered, as somebody in particular, until it is told to end.
func (f *field) standIn(t *testing.T, as string, life time.Duration, log *slog.Logger) (end func()) {
	t.Helper()
	config, err := f.cluster(t, "fra").REST()
	if err != nil {
		t.Fatal(err)
	}
	config.Impersonate = rest.ImpersonationConfig{UserName: as}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a, err := aggregate.New(aggregate.Config{REST: config, Fleet: "acme", Cluster: "fra", Address: listener.Addr().String(), Key: key, Life: life, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	reached := &httptest.Server{ // a member that its kube-apiserver does not reach gives its API up after a life
		Listener: listener, TLS: &tls.Config{Certificates: []tls.Certificate{a.Certificate()}},
		Config: &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)},
	}
	reached.StartTLS()
	t.Cleanup(reached.Close)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = a.Run(ctx) }) // it ends with ctx only
	end = sync.OnceFunc(func() { cancel(); running.Wait() })
	t.Cleanup(end)
	return end
}

// ownerKind is of what owns fra's APIService; empty when nothing does.
func (f *field) ownerKind(t *testing.T) string {
	t.Helper()
	return f.mustKubectl(t, "fra", "", "get", "apiservice", registeredName, "--ignore-not-found", "-o", "jsonpath={.metadata.ownerReferences[0].kind}")
}

func (f *field) isOwned(t *testing.T) func(context.Context) error {
	return func(context.Context) error {
		if kind := f.ownerKind(t); kind != "IPAddress" {
			return errors.New("its owner is " + kind)
		}
		return nil
	}
}

func manyLives(t *testing.T, f *field) {
	const life, lives = 20 * time.Second, 2 // it is renewed at a third of it: a machine that is late by more does not end it
	uid := func() string {
		return f.mustKubectl(t, "fra", "", "get", "apiservice", registeredName, "--ignore-not-found", "-o", "jsonpath={.metadata.uid}")
	}
	end := f.standIn(t, "", life, slog.New(slog.DiscardHandler))
	until(t, 3*time.Minute, f.isOwned(t))
	first, begun, jobs := uid(), time.Now(), map[string]bool{}
	until(t, 3*time.Minute, func(context.Context) error {
		jobs[f.lifeOf(t, "fra")] = true
		if now := uid(); now != first {
			t.Fatalf("the APIService was taken away from one that lives: %s, then %q", first, now)
		}
		if len(jobs) < 3*lives || time.Since(begun) < lives*life {
			return errors.New("it has not lived long enough")
		}
		return nil
	})
	if n := strings.Count(f.mustKubectl(t, "fra", "", "-n", "hanse-system", "get", "jobs", "-o", "name"), "hanse-alive"); n > 2 {
		t.Errorf("%d jobs are left", n)
	}
	end()
	took := until(t, 3*time.Minute, f.kubectlSays("fra", "NotFound", "get", "apiservice", registeredName))
	t.Logf("renewed %d times in %s; gone %s after the end, of a life of %s", len(jobs)-1, round(time.Since(begun)), round(took), life)
}

func lastWords(t *testing.T, f *field) {
	end := f.standIn(t, "", aggregate.DefaultLife, slog.New(slog.DiscardHandler))
	until(t, 3*time.Minute, f.isOwned(t))
	deadline := func() string {
		return f.mustKubectl(t, "fra", "", "-n", "hanse-system", "get", f.lifeOf(t, "fra"), "-o", "jsonpath={.spec.activeDeadlineSeconds}")
	}
	if before := deadline(); before != "300" {
		t.Errorf("while it lives: %s s", before)
	}
	end()
	after, err := strconv.Atoi(deadline())
	if longest := int(aggregate.DefaultLife.Seconds() / 2); err != nil || after < 30 || after > longest {
		t.Errorf("after it was stopped: %d s (%v)", after, err)
	}
	f.standIn(t, "", aggregate.DefaultLife, slog.New(slog.DiscardHandler))
	until(t, 3*time.Minute, func(context.Context) error {
		if now := deadline(); now != "300" {
			return errors.New("it does not live again: " + now)
		}
		return nil
	})
}

func lifeless(t *testing.T, f *field) {
	roles := f.kubernetes(t, "fra").RbacV1()
	all := []string{"*"}
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "lifeless"}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{"", "discovery.k8s.io", "apiregistration.k8s.io", "rbac.authorization.k8s.io", "fleet.hanse.dev"}, Resources: all, Verbs: all},
	}}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "lifeless"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "lifeless"},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "lifeless"}},
	}
	_, err := roles.ClusterRoles().Create(t.Context(), role, metav1.CreateOptions{})
	if err == nil {
		_, err = roles.ClusterRoleBindings().Create(t.Context(), binding, metav1.CreateOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	log := new(heard)
	end := f.standIn(t, "lifeless", aggregate.DefaultLife, slog.New(slog.NewTextHandler(log, nil)))
	until(t, 3*time.Minute, func(context.Context) error {
		if said := log.String(); !strings.Contains(said, "would stay there when this member is dead") || !strings.Contains(said, "jobs.batch is forbidden") {
			return errors.New(said)
		}
		return nil
	})
	t.Log(log)
	if owners := f.mustKubectl(t, "fra", "", "get", "apiservice", registeredName, "-o", "jsonpath={.metadata.ownerReferences}"); owners != "" {
		t.Errorf("it has owners: %s", owners)
	}
	end()
	err = errors.Join(roles.ClusterRoleBindings().Delete(t.Context(), "lifeless", metav1.DeleteOptions{}), roles.ClusterRoles().Delete(t.Context(), "lifeless", metav1.DeleteOptions{}))
	if err != nil {
		t.Fatal(err)
	}
}

// heard is a log that is read while it is written.
type heard struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (h *heard) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.Write(p)
}

func (h *heard) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.String()
}
