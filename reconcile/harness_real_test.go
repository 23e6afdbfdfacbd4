package reconcile_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/chaos/testbed"
	"github.com/hanse-fleet/hanse/reconcile"
)

// world is the real cluster that the tests of this package share; each uses names of its own. They take the Lease
// one after the other, so none is parallel.
var world struct {
	once    sync.Once
	dir     string
	cluster *testbed.Cluster
	err     error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if world.cluster != nil {
		if err := world.cluster.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	if world.dir != "" {
		os.RemoveAll(world.dir)
	}
	os.Exit(code)
}

func sharedCluster(t testing.TB) *testbed.Cluster {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a real cluster: left out by -short")
	}
	world.once.Do(func() {
		binaries, err := testbed.FindBinaries()
		if err != nil {
			world.err = fmt.Errorf("%w; `make test` builds the Kubernetes binaries", err)
			return
		}
		if world.dir, world.err = os.MkdirTemp("", "hanse-reconcile-"); world.err == nil {
			world.cluster, world.err = testbed.StartCluster(context.Background(), world.dir, testbed.Options{Binaries: binaries, Tethered: true})
		}
	})
	if world.err != nil {
		t.Fatal(world.err)
	}
	return world.cluster
}

// kube is the test's own way into the cluster.
type kube struct {
	t       testing.TB
	rest    *rest.Config
	dynamic dynamic.Interface
	typed   kubernetes.Interface
}

func connect(t testing.TB) *kube {
	t.Helper()
	c, err := sharedCluster(t).REST()
	if err != nil {
		t.Fatal(err)
	}
	c.UserAgent = "kubectl-test"
	return &kube{t: t, rest: c, dynamic: dynamic.NewForConfigOrDie(c), typed: kubernetes.NewForConfigOrDie(c)}
}

var resources = map[string]schema.GroupVersionResource{
	"Namespace": {Version: "v1", Resource: "namespaces"}, "ConfigMap": {Version: "v1", Resource: "configmaps"},
	"Secret": {Version: "v1", Resource: "secrets"}, "Service": {Version: "v1", Resource: "services"},
	"EndpointSlice":            {Group: "discovery.k8s.io", Version: "v1", Resource: "endpointslices"},
	"Deployment":               {Group: "apps", Version: "v1", Resource: "deployments"},
	"StatefulSet":              {Group: "apps", Version: "v1", Resource: "statefulsets"},
	"Job":                      {Group: "batch", Version: "v1", Resource: "jobs"},
	"RoleBinding":              {Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "rolebindings"},
	"PersistentVolumeClaim":    {Version: "v1", Resource: "persistentvolumeclaims"},
	"CustomResourceDefinition": {Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"},
}

func (k *kube) of(kind, namespace string) dynamic.ResourceInterface {
	k.t.Helper()
	r, known := resources[kind]
	if !known {
		r = schema.GroupVersionResource{Group: "test.example", Version: "v1", Resource: strings.ToLower(kind) + "s"}
	}
	if namespace == "" {
		return k.dynamic.Resource(r)
	}
	return k.dynamic.Resource(r).Namespace(namespace)
}

func (k *kube) get(kind, namespace, name string) (*unstructured.Unstructured, error) {
	return k.of(kind, namespace).Get(context.Background(), name, metav1.GetOptions{})
}

func (k *kube) must(u *unstructured.Unstructured, err error) *unstructured.Unstructured {
	k.t.Helper()
	if err != nil {
		k.t.Fatal(err)
	}
	return u
}

func (k *kube) create(manifest string) *unstructured.Unstructured {
	k.t.Helper()
	u := object(k.t, manifest)
	return k.must(k.of(u.GetKind(), u.GetNamespace()).Create(context.Background(), &u, metav1.CreateOptions{FieldManager: "somebody"}))
}

// edit changes an object as a person would.
func (k *kube) edit(kind, namespace, name string, change func(u *unstructured.Unstructured)) {
	k.t.Helper()
	for {
		u := k.must(k.get(kind, namespace, name))
		change(u)
		_, err := k.of(kind, namespace).Update(context.Background(), u, metav1.UpdateOptions{FieldManager: "somebody"})
		if err == nil {
			return
		}
		if !strings.Contains(err.Error(), "the object has been modified") {
			k.t.Fatal(err)
		}
	}
}

func (k *kube) remove(kind, namespace, name string) {
	k.t.Helper()
	if err := k.of(kind, namespace).Delete(context.Background(), name, metav1.DeleteOptions{}); err != nil {
		k.t.Fatal(err)
	}
}

// exists, and its opposite for whoever waits.
func (k *kube) exists(kind, namespace, name string) bool {
	_, err := k.get(kind, namespace, name)
	return err == nil
}

// inventory is how many ConfigMaps hold something of a bundle's inventory.
func (k *kube) inventory(bundle string) (n int) {
	k.t.Helper()
	for _, cm := range k.inventories() {
		if _, head := cm.Data[bundle]; head || cm.Labels[reconcile.LabelInventory] == bundle {
			n++
		}
	}
	return n
}

func (k *kube) inventories() []corev1.ConfigMap {
	k.t.Helper()
	list, err := k.typed.CoreV1().ConfigMaps(reconcile.Namespace).List(context.Background(), metav1.ListOptions{LabelSelector: reconcile.LabelInventory})
	if err != nil {
		k.t.Fatal(err)
	}
	return list.Items
}

// editHead changes the head of a bundle's inventory as a person would; nil takes it away.
func (k *kube) editHead(bundle string, change func(head map[string]string)) {
	k.t.Helper()
	for _, cm := range k.inventories() {
		if _, has := cm.Data[bundle]; !has {
			continue
		}
		k.edit("ConfigMap", reconcile.Namespace, cm.Name, func(u *unstructured.Unstructured) {
			data := u.Object["data"].(map[string]any)
			if change == nil {
				delete(data, bundle)
				return
			}
			var head map[string]string
			if err := json.Unmarshal([]byte(data[bundle].(string)), &head); err != nil {
				k.t.Fatal(err)
			}
			change(head)
			raw, err := json.Marshal(head)
			if err != nil {
				k.t.Fatal(err)
			}
			data[bundle] = string(raw)
		})
		return
	}
	k.t.Fatalf("no head of %s", bundle)
}

func object(t testing.TB, manifest string) unstructured.Unstructured {
	t.Helper()
	var u unstructured.Unstructured
	if err := yaml.Unmarshal([]byte(manifest), &u.Object); err != nil {
		t.Fatal(err)
	}
	return u
}

// objects are the documents of a YAML stream.
func objects(t testing.TB, stream string) []unstructured.Unstructured {
	t.Helper()
	var out []unstructured.Unstructured
	for doc := range strings.SplitSeq(stream, "\n---\n") {
		if strings.TrimSpace(doc) != "" {
			out = append(out, object(t, doc))
		}
	}
	return out
}

// member is a reconciler under test, and what the fleet tells it.
type member struct {
	stop func()

	mu         sync.Mutex
	grants     []reconcile.Grant
	known      bool
	changed    chan struct{}
	status     map[string]v1alpha1.WorkStatus
	carriedOut map[string]string
	reports    int
	withdrawn  []string
	refuse     error
	news       chan struct{}
}

func (m *member) Current() ([]reconcile.Grant, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.grants, m.known
}

func (m *member) Changed() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.changed
}

func (m *member) report(reports []reconcile.Report) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reports++
	for _, r := range reports {
		m.status[r.Bundle], m.carriedOut[r.Bundle] = r.Status, r.CarriedOut
	}
	close(m.news)
	m.news = make(chan struct{})
}

func (m *member) strike(_ context.Context, bundle, uid string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.refuse != nil {
		err := m.refuse
		m.refuse = nil
		return err
	}
	m.withdrawn = append(m.withdrawn, bundle+"/"+uid)
	return nil
}

// grant makes the member's grants exactly these.
func (m *member) grant(grants ...reconcile.Grant) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.grants, m.known = grants, true
	close(m.changed)
	m.changed = make(chan struct{})
}

func (m *member) last(bundle string) v1alpha1.WorkStatus {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.status[bundle]
}

// isNews fails unless what is told to be carried out is this revision.
func (m *member) isNews(t *testing.T, bundle, revision string) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if got := m.carriedOut[bundle]; got != revision {
		t.Errorf("carried out is told to be %q, not %q", got, revision)
	}
}

func (m *member) isWithdrawn(bundle, uid string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, w := range m.withdrawn {
		if w == bundle+"/"+uid {
			return true
		}
	}
	return false
}

// await waits until a report of the bundle is as wanted.
func (m *member) await(t testing.TB, bundle, what string, want func(v1alpha1.WorkStatus) bool) v1alpha1.WorkStatus {
	t.Helper()
	deadline := time.After(patience)
	for {
		m.mu.Lock()
		status, news := m.status[bundle], m.news
		m.mu.Unlock()
		if want(status) {
			return status
		}
		select {
		case <-news:
		case <-deadline:
			t.Fatalf("bundle %s is not %s; its last report: %+v", bundle, what, status)
		}
	}
}

func (m *member) awaitReady(t testing.TB, g reconcile.Grant) v1alpha1.WorkStatus {
	t.Helper()
	return m.await(t, g.Bundle, "ready", func(s v1alpha1.WorkStatus) bool {
		return s.Applied == g.Revision && s.Health == v1alpha1.HealthReady
	})
}

func (m *member) awaitProblem(t testing.TB, bundle, reason, name string) v1alpha1.Problem {
	t.Helper()
	var found v1alpha1.Problem
	m.await(t, bundle, "reporting "+reason+" of "+name, func(s v1alpha1.WorkStatus) bool {
		for _, p := range s.Problems {
			if p.Reason == reason && p.Name == name {
				found = p
				return true
			}
		}
		return false
	})
	return found
}

// patience bounds how long a test waits for what should happen at once: megabytes of definitions are work for a kube-apiserver that
// shares its processors with other tests.
const patience = 3 * time.Minute

// eventually polls the cluster, which is real and takes its time.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
		<-tick.C
	}
}

// quick are times for tests: the lease moves on soon when a member is stopped hard.
func quick() reconcile.Timing {
	return reconcile.Timing{
		LeaseDuration: 3 * time.Second, RenewDeadline: 2 * time.Second, RenewPeriod: 500 * time.Millisecond,
		Retry: 100 * time.Millisecond, RetryMax: time.Second, Patience: 2 * time.Second, Coalesce: 10 * time.Millisecond,
		Establish: 20 * time.Second,
	}
}

func start(t testing.TB, k *kube, change ...func(*reconcile.Config)) *member {
	t.Helper()
	m := &member{changed: make(chan struct{}), status: map[string]v1alpha1.WorkStatus{}, carriedOut: map[string]string{}, news: make(chan struct{})}
	c := reconcile.Config{
		REST: k.rest, Fleet: "acme", Cluster: "fra", Member: "member-1", Grants: m,
		Report: m.report, Withdrawn: m.strike, Timing: quick(), Logger: logger(t),
	}
	for _, f := range change {
		f(&c)
	}
	r, err := reconcile.New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	m.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		case <-time.After(patience):
			t.Error("the reconciler does not stop")
		}
	})
	t.Cleanup(m.stop)
	return m
}

// logger shows the reconciler's log with -v.
func logger(t testing.TB) *slog.Logger {
	if !testing.Verbose() {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(io.Writer(os.Stderr), &slog.HandlerOptions{Level: slog.LevelDebug})).With("test", t.Name())
}

var counter int

// bundle is a grant of a bundle of its own name, with the manifests; NS in them stands for a namespace of its own.
func bundle(t testing.TB, stream string) reconcile.Grant {
	t.Helper()
	counter++
	name := fmt.Sprintf("b%d", counter)
	return reconcile.Grant{
		Bundle: name, BundleUID: "uid-" + name, Revision: name + "-1", StoreRevision: 1,
		Drift: v1alpha1.DriftCorrect, Deletion: v1alpha1.DeletionPrune, Adopt: v1alpha1.AdoptNever,
		Objects: objects(t, strings.ReplaceAll(stream, "NS", name)),
	}
}

// next is the grant's next revision, with other manifests.
func next(t testing.TB, g reconcile.Grant, stream string) reconcile.Grant {
	t.Helper()
	g.StoreRevision++
	g.Revision = fmt.Sprintf("%s-%d", g.Bundle, g.StoreRevision)
	g.Objects = objects(t, strings.ReplaceAll(stream, "NS", g.Bundle))
	return g
}

// withdraw is the grant that takes the bundle back.
func withdraw(g reconcile.Grant) reconcile.Grant {
	return reconcile.Grant{Bundle: g.Bundle, BundleUID: g.BundleUID, StoreRevision: g.StoreRevision + 1, Withdraw: true}
}
