package project_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/hanse-fleet/hanse/chaos/testbed/testbedtest"
	"github.com/hanse-fleet/hanse/project"
)

// patience bounds how long a test waits for what should happen at once.
const patience = 3 * time.Minute

var (
	clusterProperties  = schema.GroupVersionResource{Group: "about.k8s.io", Version: "v1beta1", Resource: "clusterproperties"}
	clusterProfiles    = schema.GroupVersionResource{Group: "multicluster.x-k8s.io", Version: "v1alpha1", Resource: "clusterprofiles"}
	placementDecisions = schema.GroupVersionResource{Group: "multicluster.x-k8s.io", Version: "v1alpha1", Resource: "placementdecisions"}
	crds               = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
)

// kube is a real cluster of the test's own, and a person's way into it.
type kube struct {
	t       testing.TB
	rest    *rest.Config
	dynamic dynamic.Interface
	typed   kubernetes.Interface
}

func startKube(t testing.TB) *kube {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a real cluster: left out by -short")
	}
	c, err := testbedtest.Cluster(t).REST()
	if err != nil {
		t.Fatal(err)
	}
	c.UserAgent = "kubectl-test"
	k := &kube{t: t, rest: c, dynamic: dynamic.NewForConfigOrDie(c), typed: kubernetes.NewForConfigOrDie(c)}
	k.create(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}, `{apiVersion: v1, kind: Namespace, metadata: {name: hanse-system}}`)
	return k
}

// standardCRDs are the definitions that the SIG ships with the module that consumer depends on.
func (k *kube) standardCRDs() {
	k.t.Helper()
	out, err := exec.Command("go", "mod", "download", "-C", "testdata/consumer", "-json", "sigs.k8s.io/cluster-inventory-api").Output()
	var module struct{ Dir string }
	if err == nil {
		err = json.Unmarshal(out, &module)
	}
	if err != nil {
		k.t.Fatalf("go mod download: %v\n%s", err, out)
	}
	files, err := filepath.Glob(filepath.Join(module.Dir, "config", "crd", "bases", "*.yaml"))
	if err != nil || len(files) != 2 {
		k.t.Fatalf("%d definitions, %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			k.t.Fatal(err)
		}
		k.create(crds, string(text))
	}
	eventually(k.t, "the kinds are served", func() bool { return k.names(clusterProfiles)+k.names(placementDecisions) == "" })
}

func (k *kube) of(r schema.GroupVersionResource) dynamic.ResourceInterface {
	switch r {
	case clusterProfiles, placementDecisions:
		return k.dynamic.Resource(r).Namespace(project.Namespace)
	}
	return k.dynamic.Resource(r)
}

func (k *kube) create(r schema.GroupVersionResource, manifest string) *unstructured.Unstructured {
	k.t.Helper()
	var u unstructured.Unstructured
	if err := yaml.Unmarshal([]byte(manifest), &u.Object); err != nil {
		k.t.Fatal(err)
	}
	made, err := k.of(r).Create(context.Background(), &u, metav1.CreateOptions{FieldManager: "somebody"})
	if err != nil {
		k.t.Fatal(err)
	}
	return made
}

// get is an object that is there.
func (k *kube) get(r schema.GroupVersionResource, name string) *unstructured.Unstructured {
	k.t.Helper()
	u, err := k.of(r).Get(context.Background(), name, metav1.GetOptions{})
	if err != nil {
		k.t.Fatal(err)
	}
	return u
}

// find is an object as it is now, or an empty one.
func (k *kube) find(r schema.GroupVersionResource, name string) *unstructured.Unstructured {
	u, err := k.of(r).Get(context.Background(), name, metav1.GetOptions{})
	if err != nil {
		return &unstructured.Unstructured{}
	}
	return u
}

func (k *kube) names(r schema.GroupVersionResource) string {
	list, err := k.of(r).List(context.Background(), metav1.ListOptions{})
	if err != nil {
		return err.Error()
	}
	var names []string
	for _, u := range list.Items {
		names = append(names, u.GetName())
	}
	return strings.Join(names, " ")
}

// patch changes an object as a person would, by a merge patch.
func (k *kube) patch(r schema.GroupVersionResource, name, patch string, subresource ...string) {
	k.t.Helper()
	if _, err := k.of(r).Patch(context.Background(), name, "application/merge-patch+json", []byte(patch), metav1.PatchOptions{FieldManager: "somebody"}, subresource...); err != nil {
		k.t.Fatal(err)
	}
}

// eventually polls the cluster, which is real and takes its time.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
		<-tick.C
	}
}

// log is what a projector says, and a fleet what it is told.
type log struct {
	mu      sync.Mutex
	fleet   project.Fleet
	known   bool
	changed chan struct{}
}

func (l *log) Current() (project.Fleet, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fleet, l.known
}

func (l *log) Changed() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changed
}

// say makes this the fleet.
func (l *log) say(f project.Fleet) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fleet, l.known = f, true
	close(l.changed)
	l.changed = make(chan struct{})
}

// sayNothing is a member that does not know, or may not act.
func (l *log) sayNothing() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.known = false
	close(l.changed)
	l.changed = make(chan struct{})
}

// said collects what a projector logs, and the objects that it left alone.
type said struct {
	mu   sync.Mutex
	text bytes.Buffer
	left []string
}

func (s *said) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if testing.Verbose() {
		os.Stderr.Write(b)
	}
	return s.text.Write(b)
}

func (s *said) has(words string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Contains(s.text.String(), words)
}

func (s *said) leftAlone() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.left, " ")
}

func start(t testing.TB, k *kube, l *log, change ...func(*project.Config)) (*said, func()) {
	t.Helper()
	heard := &said{}
	c := project.Config{
		REST: k.rest, Source: l, Logger: slog.New(slog.NewTextHandler(io.Writer(heard), nil)),
		Timing: project.Timing{Pause: 10 * time.Millisecond, Retry: 50 * time.Millisecond, RetryMax: time.Second, Rate: 1000},
		Left: func(kind, namespace, name string) {
			heard.mu.Lock()
			defer heard.mu.Unlock()
			heard.left = append(heard.left, kind+"/"+name)
		},
	}
	for _, f := range change {
		f(&c)
	}
	p, err := project.New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); p.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		select {
		case <-ended:
		case <-time.After(patience):
			t.Error("the projector does not stop")
		}
	})
	t.Cleanup(stop)
	return heard, stop
}

// consume has the consumer, a program that knows the standard's own types, read an object strictly.
func consume(t testing.TB, program string, u *unstructured.Unstructured) map[string]any {
	t.Helper()
	text, err := json.Marshal(u.Object)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program)
	cmd.Stdin = bytes.NewReader(text)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("the consumer cannot read %s %s: %v %s", u.GetKind(), u.GetName(), err, complaint.String())
	}
	var read map[string]any
	if err := json.Unmarshal(out, &read); err != nil {
		t.Fatal(err)
	}
	return read
}

func buildConsumer(t testing.TB) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "consumer")
	if out, err := exec.Command("go", "build", "-C", "testdata/consumer", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("build consumer: %v\n%s", err, out)
	}
	return program
}
