package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/apiserver"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/consensus/store/storetest"
	"github.com/hanse-fleet/hanse/internal/pause"
	"github.com/hanse-fleet/hanse/law"
	"github.com/hanse-fleet/hanse/plan"
)

// What people write is recorded whatever way it takes, and the leader strikes off what the settings say is too much.
func TestTheLeaderForgetsOldChanges(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "fra")
	if _, err := Init(InitOptions{DataDir: dir, Fleet: "acme", Cluster: "fra", Region: "eu", Addresses: Addresses{Listen: "127.0.0.1:7946", APIListen: "127.0.0.1:7947"}}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	m := start(t, dir)
	if err := m.store.WaitFor(ctx, 1); err != nil {
		t.Fatal(err)
	}
	anyone := apiserver.Asker{Person: v1alpha1.LocalPerson}
	for i := range 5 {
		writeSettings(ctx, t, m, anyone, func(f *v1alpha1.Fleet) {
			f.Labels = map[string]string{"n": fmt.Sprint(i)}
			f.Spec.History = &v1alpha1.HistorySpec{Keep: 2, For: metav1.Duration{Duration: time.Hour}}
		})
	}
	if _, err := m.createToken(ctx, anyone, law.Terms{}, time.Hour); err != nil {
		t.Fatal(err)
	}
	if n := m.store.View().Count(v1alpha1.KeyChanges); n < 3 { // it may have looked already, between two of them
		t.Fatalf("%d changes are recorded", n)
	}
	written := m.store.View().Revision()
	m.stop()

	m = start(t, dir) // whoever begins to lead looks
	defer m.stop()
	if err := m.store.WaitFor(ctx, written); err != nil {
		t.Fatal(err)
	}
	for v := m.store.View(); v.Count(v1alpha1.KeyChanges) > 3; v = m.store.View() {
		if err := m.store.WaitFor(ctx, v.Revision()+1); err != nil {
			t.Fatal(err)
		}
	}
	changes, _, err := remembered(m.store.View())
	if err != nil || len(changes) != 3 || m.store.View().Count(v1alpha1.KeyPasts) != 2 {
		t.Errorf("%d pasts of %v: %v", m.store.View().Count(v1alpha1.KeyPasts), changes, err)
	}
}

// Who was told a secret is kept for longer than other changes of it, so the leader has to know which those are.
func TestTheLeaderKnowsWhichChangesAreReveals(t *testing.T) {
	var revealed, label v1alpha1.Change
	revealed.Spec = v1alpha1.ChangeSpec{Resource: "fleetsecrets", Name: "db", Verb: v1alpha1.ChangeUpdate, Revealed: true}
	label.Spec = v1alpha1.ChangeSpec{Resource: "fleetsecrets", Name: "db", Verb: v1alpha1.ChangeUpdate}
	changes, _, err := remembered(storetest.View(t, store.Member{ID: "m", Cluster: "fra", Pin: store.Pin{1}}, map[string]any{v1alpha1.KeyChanges + "told": revealed, v1alpha1.KeyChanges + "labelled": label}))
	if err != nil || len(changes) != 2 {
		t.Fatalf("%v: %v", changes, err)
	}
	for _, c := range changes {
		if c.Revealed != (c.Name == "told") {
			t.Errorf("%+v", c)
		}
	}
}

// However many there are and however long their names: no transaction is more than an entry takes.
func TestWhatIsForgottenFitsIntoTheLog(t *testing.T) {
	var f plan.Forgotten
	for i := range 3000 {
		f.Changes = append(f.Changes, fmt.Sprintf("%0400d", i))
		f.Pasts = append(f.Pasts, fmt.Sprintf("%0400d", 3000+i))
	}
	n := 0
	for _, ops := range forgetting(f) {
		n += len(ops)
		c := store.Command{ID: store.CommandID{Incarnation: "id", Seq: 1}, Proposer: "id", Txn: &store.Txn{Then: ops}}
		if size, err := c.Size(); err != nil || size > store.MaxEntry/2 || len(ops) == 0 {
			t.Fatalf("%d ops in %d bytes: %v", len(ops), size, err)
		}
	}
	if n != 9000 {
		t.Errorf("%d ops", n)
	}
	if all := forgetting(plan.Forgotten{}); all != nil {
		t.Errorf("nothing to forget takes %d transactions", len(all))
	}
}

// writeSettings changes the Fleet as a person.
// Who comes after days of rest is not told to ask again.
func TestTimePassesInAFleetThatWritesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "fra")
	if _, err := Init(InitOptions{DataDir: dir, Fleet: "acme", Cluster: "fra", Region: "eu", Addresses: Addresses{Listen: "127.0.0.1:7946", APIListen: "127.0.0.1:7947"}}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	var rested atomic.Int64
	m := startWith(t, dir, Seams{Clock: func() time.Time { return time.Now().Add(time.Duration(rested.Load())) }})
	defer m.stop()
	if err := m.store.WaitFor(ctx, 1); err != nil {
		t.Fatal(err)
	}
	began := m.store.View().Time()
	rested.Store(int64(100 * time.Hour))
	for m.store.View().Time().Sub(began) < 99*time.Hour {
		if !pause.For(ctx, 10*time.Millisecond) {
			t.Fatalf("the log's time is %s, %s after its beginning", m.store.View().Time(), m.store.View().Time().Sub(began))
		}
	}
	writeSettings(ctx, t, m, apiserver.Asker{Person: v1alpha1.LocalPerson}, func(f *v1alpha1.Fleet) { f.Labels = map[string]string{"n": "1"} })
}

func writeSettings(ctx context.Context, t *testing.T, m running, asker apiserver.Asker, change func(*v1alpha1.Fleet)) {
	t.Helper()
	kv, _ := m.store.View().Get(v1alpha1.KeyFleets + "acme")
	var f v1alpha1.Fleet
	if err := json.Unmarshal(kv.Value, &f); err != nil {
		t.Fatal(err)
	}
	change(&f)
	op, err := law.Put(kv.Key, f)
	if err != nil {
		t.Fatal(err)
	}
	p, err := m.recorded(asker, store.Txn{Then: []store.Op{op}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.node.Propose(ctx, p); err != nil {
		t.Fatal(err)
	}
}
