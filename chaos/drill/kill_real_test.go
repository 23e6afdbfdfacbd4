package drill

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"filippo.io/age"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/chaos/canary"
)

const (
	kills = 100
	// atOnce is the part of the kills that do not wait until the daemon has come back from the one before.
	atOnce = 0.3
	// comesBack is how long a killed daemon may take until it answers, on a machine that has much else to do: a start reads its log from
	// a disk that others write to. How long the slowest took is printed.
	comesBack = 2 * time.Minute
)

func TestAHundredKillsUnderWrites(t *testing.T) {
	t.Parallel()
	daemons := company(t, hanseBinary(t), "acme", "fra", "iad", "sin")
	t.Logf("seed %d; again with: go test ./chaos/drill -run '^%s$' -seed %d", *seed, t.Name(), *seed)
	chance := rand.New(rand.NewPCG(*seed, 0))

	var writers []*writer
	writing, stop := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for _, d := range daemons {
		w, err := newWriter(d.Cluster, d.REST(), 25*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		writers = append(writers, w)
		group.Go(func() { w.run(writing) })
	}
	t.Cleanup(func() { stop(); group.Wait() }) // also when a daemon does not come back
	begun := time.Now()
	slowest := massacre(t, daemons, chance)
	t.Logf("%d kills in %s; the slowest return took %s", kills, round(time.Since(begun)), round(slowest))

	for _, d := range daemons { // with all there, writing goes on before it ends
		until(t, comesBack, func(ctx context.Context) error { return atWork(ctx, d, len(daemons)) })
	}
	for _, w := range writers {
		last := len(w.written())
		until(t, comesBack, func(context.Context) error {
			if len(w.written()) == last {
				return fmt.Errorf("no write through %s since the last kill: %w", w.name, w.lastError())
			}
			return nil
		})
	}
	stop()
	group.Wait()
	for _, w := range writers {
		t.Logf("through %s: %d writes acknowledged, %d not", w.name, len(w.written()), w.failures)
	}
	for _, d := range daemons {
		t.Run("every acknowledged write is on "+d.Cluster, func(t *testing.T) {
			for _, w := range writers {
				if lost := w.lost(t, d.REST()); len(lost) > 0 {
					t.Errorf("%d of %d writes that %s acknowledged are not there: %q", len(lost), len(w.written()), w.name, lost)
				}
			}
		})
	}
	t.Run("nothing of it can be read on the disk that is encrypted", func(t *testing.T) {
		finder := canary.New(map[string][]byte{"an object": []byte("fleet.hanse.dev/v1alpha1")})
		for _, d := range daemons {
			if err := d.Kill(); err != nil {
				t.Fatal(err)
			}
			if found, err := finder.Files(d.Dir); err != nil || (len(found) == 0) != (d.Identity != "") {
				t.Errorf("on %s, encrypted %t: %d found, %v", d.Cluster, d.Identity != "", len(found), err)
			}
		}
	})
}

// company is a fleet of daemons without clusters, each in a region of its own.
func company(t *testing.T, hanse, fleet string, names ...string) []*Daemon {
	t.Helper()
	var places []place
	for _, name := range names {
		places = append(places, place{name, "r" + name})
	}
	return gather(t, hanse, fleet, places...)
}

// place is where a daemon is to be.
type place struct{ cluster, region string }

// gather is a fleet of daemons without clusters. Three of them vote, or one while they are fewer. The data directory of the last of several is
// encrypted: all that is tried here is true of it, too.
func gather(t testing.TB, hanse, fleet string, places ...place) []*Daemon {
	t.Helper()
	dir := folder(t)
	var all []*Daemon
	for i, p := range places {
		d, err := NewDaemon(hanse, dir, p.cluster, p.region)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			enlist(t, d, nil, "init", "--soak", "0s", "--max-domains", "100", "--no-recovery", "--fleet", fleet)
		} else {
			if i == len(places)-1 {
				encrypt(t, d)
			}
			token := ended(t, 0, tell(t, all[0].Person(), nil, "token", "create"), nil)
			enlist(t, d, []byte(token.Out), "join")
		}
		if err := d.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { bury(t, d) })
		until(t, comesBack, func(ctx context.Context) error {
			_, err := d.Status(ctx)
			return err
		})
		all = append(all, d)
	}
	voters := 3
	if len(places) < voters {
		voters = 1
	}
	for _, d := range all {
		until(t, 2*comesBack, func(ctx context.Context) error { return atWork(ctx, d, voters) })
	}
	return all
}

// encrypt gives a daemon that has no data directory yet the identity for one that is encrypted.
func encrypt(t testing.TB, d *Daemon) {
	t.Helper()
	id, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	d.Identity = d.Dir + ".identity"
	if err := os.WriteFile(d.Identity, []byte(id.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

// enlist makes a daemon's data directory by init or join.
func enlist(t testing.TB, d *Daemon, input []byte, verb ...string) {
	t.Helper()
	args := append(append(verb, "--cluster", d.Cluster, "--region", d.Region), d.Addresses()...)
	ended(t, 0, tell(t, Person{Hanse: d.hanse}, input, args...), args)
}

func bury(t testing.TB, d *Daemon) {
	if err := d.Kill(); err != nil {
		t.Error(err)
	}
	if t.Failed() {
		log, _ := os.ReadFile(d.Log) // nothing to show, if it cannot be read
		lines := strings.Split(strings.TrimSpace(string(log)), "\n")
		t.Logf("%s:\n%s", d.Cluster, strings.Join(lines[max(0, len(lines)-15):], "\n"))
	}
}

// atWork fails unless a daemon knows a leader, and so many voters.
func atWork(ctx context.Context, d *Daemon, voters int) error {
	s, err := d.Status(ctx)
	if err == nil && (s.Leader == "" || !s.Quorum.Have || s.Quorum.Voters != voters) {
		err = fmt.Errorf("%s sees leader %q, %d of %d voters", d.Cluster, s.Leader, s.Quorum.Reached, s.Quorum.Voters)
	}
	return err
}

// massacre kills a daemon at a time and starts it again, and returns how long the slowest took to answer.
func massacre(t *testing.T, daemons []*Daemon, chance *rand.Rand) (slowest time.Duration) {
	t.Helper()
	for n := range kills {
		d := daemons[chance.IntN(len(daemons))]
		if err := errors.Join(d.Kill(), d.Start()); err != nil {
			t.Fatalf("kill %d: %v", n+1, err)
		}
		if chance.Float64() >= atOnce {
			slowest = max(slowest, until(t, comesBack, func(ctx context.Context) error {
				_, err := d.Status(ctx)
				return err
			}))
		}
		select { // any moment of its life is as good as another
		case <-time.After(time.Duration(chance.Int64N(int64(900 * time.Millisecond)))):
		case <-t.Context().Done():
		}
	}
	return slowest
}

// writer writes through one member for as long as it may, and remembers what was acknowledged: users that are made
// once, and a bundle that changes again and again.
type writer struct {
	name            string
	pace            time.Duration
	users, bundles  dynamic.ResourceInterface
	mu              sync.Mutex
	failures        int
	slowest         time.Duration // of the writes that were acknowledged
	acknowledged    []string      // users
	version, tried  int           // of the bundle: acknowledged, and begun
	lastUnavailable error
}

func newWriter(name string, config *rest.Config, pace time.Duration) (*writer, error) {
	config.Timeout = cmp.Or(config.Timeout, 5*time.Second)
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	return &writer{name: name, pace: pace, users: client.Resource(kind("users")), bundles: client.Resource(kind("bundles"))}, nil
}

func kind(resource string) schema.GroupVersionResource {
	return v1alpha1.SchemeGroupVersion.WithResource(resource)
}

func (w *writer) run(ctx context.Context) {
	pace := time.NewTicker(w.pace)
	defer pace.Stop()
	for n := 0; ; n++ {
		select {
		case <-pace.C:
		case <-ctx.Done():
			return
		}
		begun := time.Now()
		err := w.write(ctx, n)
		w.mu.Lock()
		if err != nil {
			w.failures++
			w.lastUnavailable = err
		} else {
			w.slowest = max(w.slowest, time.Since(begun))
		}
		w.mu.Unlock()
	}
}

// write makes a user, or every eighth time changes the bundle.
func (w *writer) write(ctx context.Context, n int) error {
	if n%8 == 0 {
		w.tried++
		_, err := w.bundles.Apply(ctx, w.bundle(), w.manifest(w.tried), metav1.ApplyOptions{FieldManager: "drill", Force: true})
		if err == nil {
			w.mu.Lock()
			w.version = w.tried
			w.mu.Unlock()
		}
		return err
	}
	name := fmt.Sprintf("%s-%d", w.name, n)
	_, err := w.users.Create(ctx, user(name), metav1.CreateOptions{})
	if err == nil {
		w.mu.Lock()
		w.acknowledged = append(w.acknowledged, name)
		w.mu.Unlock()
	}
	return err
}

func (w *writer) bundle() string { return "of-" + w.name }

func (w *writer) manifest(version int) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": v1alpha1.SchemeGroupVersion.String(), "kind": "Bundle",
		"metadata": map[string]any{"name": w.bundle(), "annotations": map[string]any{"version": fmt.Sprint(version)}},
		"spec": map[string]any{
			"placement": map[string]any{"clusterSelector": map[string]any{}},
			"manifests": []any{map[string]any{
				"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": w.bundle(), "namespace": "default"},
				"data": map[string]any{"version": fmt.Sprint(version)},
			}},
		},
	}}
}

// user is one with a pin of its own: the law lets no two users have one.
func user(name string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": v1alpha1.SchemeGroupVersion.String(), "kind": "User",
		"metadata": map[string]any{"name": name},
		"spec":     map[string]any{"role": string(v1alpha1.RoleViewer), "pin": fmt.Sprintf("%x", sha256.Sum256([]byte(name)))},
	}}
}

func (w *writer) written() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.acknowledged)
}

func (w *writer) failed() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failures
}

func (w *writer) lastError() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lastUnavailable
}

// lost are the writes that were acknowledged and that a member does not have. One that has just come back may not have found the
// others yet: what it says of itself alone, with a warning, is not counted.
func (w *writer) lost(t *testing.T, member *rest.Config) (lost []string) {
	t.Helper()
	alone := &warned{}
	config := rest.CopyConfig(member)
	config.WarningHandler = alone
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	until(t, comesBack, func(ctx context.Context) error {
		alone.Store(false)
		if lost, err = w.missing(ctx, client); err == nil && alone.Load() {
			err = errors.New("it answers without quorum")
		}
		return err
	})
	return lost
}

// warned notes that an answer came with a warning.
type warned struct{ atomic.Bool }

func (w *warned) HandleWarningHeader(int, string, string) { w.Store(true) }

// missing are the acknowledged writes that are not in what a member answers.
func (w *writer) missing(ctx context.Context, client dynamic.Interface) (missing []string, err error) {
	list, err := client.Resource(kind("users")).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	there := map[string]bool{}
	for _, u := range list.Items {
		there[u.GetName()] = true
	}
	for _, name := range w.written() {
		if !there[name] {
			missing = append(missing, name)
		}
	}
	b, err := client.Resource(kind("bundles")).Get(ctx, w.bundle(), metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	var version int
	if _, err := fmt.Sscan(b.GetAnnotations()["version"], &version); err != nil || version < w.version {
		missing = append(missing, fmt.Sprintf("version %d of bundle %s, which is at %q", w.version, w.bundle(), b.GetAnnotations()["version"]))
	}
	return missing, nil
}
