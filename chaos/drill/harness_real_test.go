package drill

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/hanse-fleet/hanse/chaos/testbed"
	"github.com/hanse-fleet/hanse/internal/pause"
)

var seed = flag.Uint64("seed", uint64(time.Now().UnixNano()), "seed of what the drills leave to chance")

// binary is the path of one of ours, built: a drill tries out what people get.
func binary(t testing.TB, name, variable string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("a drill runs real daemons and clusters: left out by -short")
	}
	path := os.Getenv(variable)
	if path == "" {
		path = filepath.Join("..", "..", "bin", name)
	}
	path, err := filepath.Abs(path)
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Fatalf("no %s to drill with: %v\nbuild it and run the drills with: make test", name, err)
	}
	return path
}

func hanseBinary(t testing.TB) string { return binary(t, "hanse", "HANSE_BINARY") }

// folder is a new one with a short path, since the path of a Unix socket is bounded.
func folder(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "drill")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// field is where most drills are held: one fleet, whose regions have real clusters.
type field struct {
	*realm
	bed    *testbed.Testbed
	losses int // data directories that were taken away
}

// newField makes the clusters and their fleet. They end with the test, and with the test's process however that ends.
func newField(t testing.TB, regions, perRegion int) *field {
	t.Helper()
	f := &field{realm: &realm{hanse: hanseBinary(t)}}
	kubernetes, err := testbed.FindBinaries()
	if err != nil {
		t.Fatalf("no clusters to drill on: %v\nrun the drills with: make test", err)
	}
	dir := filepath.Join(folder(t), "bed")
	if f.bed, err = testbed.Hold(dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			f.tellLogs(t)
		}
		if err := errors.Join(f.bed.Down(), f.bed.Close()); err != nil {
			t.Error(err)
		}
	})
	afterUs(t, binary(t, "testbed", "TESTBED_BINARY"), "down", "--dir", dir)
	begun := time.Now()
	plan := testbed.Plan{Regions: regions, ClustersPerRegion: perRegion, Fleet: "acme", Hanse: f.hanse, Binaries: kubernetes}
	err = f.bed.Prepare(plan)
	f.down, f.up = f.bed.Kill, f.bed.Heal
	for _, c := range f.bed.Clusters() {
		f.seats = append(f.seats, seat{name: c.Name(), region: c.Region(), socket: c.Socket(), status: c.FleetStatus})
	}
	if err == nil {
		err = f.bed.StartClusters(t.Context(), f.bed.Clusters()...)
	}
	if err == nil {
		err = f.bed.FormFleet(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d clusters and their fleet are there after %s", regions*perRegion, round(time.Since(begun)))
	return f
}

// afterUs runs a command when this process ends without cleaning up: a test that times out gets no chance to.
func afterUs(t testing.TB, command ...string) {
	t.Helper()
	waits, held, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/bin/sh", append([]string{"-c", `read -r word; [ "$word" = done ] || exec "$@"`, "sh"}, command...)...)
	cmd.Stdin = waits
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waits.Close()
	t.Cleanup(func() {
		_, err := fmt.Fprintln(held, "done")
		if err := errors.Join(err, held.Close(), cmd.Wait()); err != nil {
			t.Error(err)
		}
	})
}

func (f *field) tellLogs(t testing.TB) {
	for _, c := range f.bed.Clusters() {
		t.Logf("%s, member:\n%s", c.Name(), c.LogTail(testbed.Member))
	}
}

func (f *field) cluster(t testing.TB, name string) *testbed.Cluster {
	t.Helper()
	c, err := f.bed.Cluster(name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// kubernetes is a client of a cluster's own API.
func (f *field) kubernetes(t testing.TB, cluster string) *kubernetes.Clientset {
	t.Helper()
	config, err := f.cluster(t, cluster).REST()
	if err != nil {
		t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// log is all that a cluster's member has logged.
func (f *field) log(t testing.TB, cluster string) []byte {
	t.Helper()
	log, err := os.ReadFile(filepath.Join(f.bed.Dir(), cluster, "log", testbed.Member+".log"))
	if err != nil {
		t.Fatal(err)
	}
	return log
}

// elections is how many leaders the members have seen elected among them.
func (f *field) elections(t testing.TB) int {
	t.Helper()
	n := 0
	for _, c := range f.bed.Clusters() {
		n += bytes.Count(f.log(t, c.Name()), []byte(`msg="leader elected"`))
	}
	return n
}

func tell(t testing.TB, p Person, input []byte, args ...string) Said {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), 5*time.Minute, errors.New("no end within 5 minutes"))
	defer cancel()
	said, err := p.Type(ctx, input, args...)
	if err != nil {
		t.Fatal(err)
	}
	return said
}

// ended checks how a command ended.
func ended(t testing.TB, code int, said Said, args []string) Said {
	t.Helper()
	if said.Code != code {
		t.Fatalf("hanse %s: want exit %d: %s", strings.Join(args, " "), code, said)
	}
	return said
}

// mentions checks that a text has all those words in it.
func mentions(t testing.TB, text string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("%q is not in:\n%s", w, text)
		}
	}
}

// until asks until there is no error, for so long. It rests between two questions as long as the one before took: who asks
// by a program takes no more than half a processor from what is waited for.
func until(t testing.TB, within time.Duration, ask func(context.Context) error) time.Duration {
	t.Helper()
	begun := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	for last := error(nil); ; {
		asked := time.Now()
		err := ask(ctx)
		if err == nil {
			return time.Since(begun)
		}
		if last == nil || ctx.Err() == nil {
			last = err // one that was cut off says nothing
		}
		if !pause.For(ctx, max(20*time.Millisecond, time.Since(asked))) {
			t.Fatalf("not within %s: %v", within, last)
		}
	}
}

// settings waits until a ConfigMap says what it should.
func settings(client *kubernetes.Clientset, namespace, name, key, want string) func(context.Context) error {
	return func(ctx context.Context) error {
		got, err := client.CoreV1().ConfigMaps(namespace).Get(ctx, name, metav1.GetOptions{})
		if err == nil && got.Data[key] != want {
			err = fmt.Errorf("%s of %s/%s is %q, not %q", key, namespace, name, got.Data[key], want)
		}
		return err
	}
}

func round(d time.Duration) time.Duration { return d.Round(10 * time.Millisecond) }
