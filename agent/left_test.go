package agent

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/apiserver"
	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/epoch"
	"github.com/hanse-fleet/hanse/law"
)

// great is a member that leads, and a fleet with more in it than one transaction takes.
type great struct {
	*testing.T
	running
	ctx context.Context
}

func newGreat(t *testing.T) great {
	dir := filepath.Join(t.TempDir(), "fra")
	if _, err := Init(InitOptions{DataDir: dir, Fleet: "acme", Cluster: "fra", Region: "eu", Addresses: Addresses{Listen: "127.0.0.1:7946", APIListen: "127.0.0.1:7947"}}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	g := great{t, start(t, dir), ctx}
	t.Cleanup(func() { g.stop(); cancel() })
	if err := g.store.WaitFor(ctx, 1); err != nil {
		t.Fatal(err)
	}
	// While all clusters only look the leader collects nothing of all this for its own sake.
	g.says(g.put(v1alpha1.KeyObserving+"fra", v1alpha1.Observing{Reason: v1alpha1.ReasonRestored}))
	return g
}

func (g great) put(key string, value any) store.Op {
	g.Helper()
	op, err := law.Put(key, value)
	if err != nil {
		g.Fatal(err)
	}
	return op
}

// says writes what the leader may, in as many transactions as it takes.
func (g great) says(ops ...store.Op) {
	g.Helper()
	for some := range divided(ops) {
		_, term, leads := g.node.Leader()
		if _, err := g.node.Propose(g.ctx, consensus.Proposal{Term: term, Txn: store.Txn{Then: some}}); err != nil {
			g.Fatalf("led here: %v: %v", leads, err)
		}
	}
}

// asks writes what a person asks for, again as often as somebody else was faster.
func (g great) asks(op store.Op) error {
	_, err := g.again(g.ctx, func(*store.View) (consensus.Proposal, error) {
		return g.recorded(apiserver.Asker{Person: v1alpha1.LocalPerson}, store.Txn{Then: []store.Op{op}})
	})
	return err
}

// gone waits until nothing is under a prefix.
func (g great) gone(prefix string) {
	g.Helper()
	for v := g.store.View(); v.Count(prefix) > 0; v = g.store.View() {
		if err := g.store.WaitFor(g.ctx, v.Revision()+1); err != nil {
			g.Fatalf("%d of %s are left: %v", v.Count(prefix), prefix, err)
		}
	}
}

// A thousand secrets were sealed for a group, and then for another one.
func TestAGroupWithAGreatPastIsDeletedAndMadeAnew(t *testing.T) {
	g := newGreat(t)
	group := &v1alpha1.RecipientGroup{TypeMeta: v1alpha1.TypeOf("RecipientGroup"), ObjectMeta: metav1.ObjectMeta{Name: "readers", UID: "u-1", Generation: 1}}
	group.Spec.ClusterSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"reads": "yes"}}
	key := v1alpha1.KeyRecipientGroups + group.Name
	if err := g.asks(g.put(key, group)); err != nil {
		t.Fatal(err)
	}
	var told []store.Op
	for i := range 5000 {
		told = append(told, g.put(fmt.Sprintf("%ssecret.db-%d-u-1", v1alpha1.KeySealings, i), v1alpha1.Sealing{Group: group.Name, Found: 1, Epoch: 3, By: "fra"}))
	}
	g.says(told...)
	if err := g.asks(store.Delete(key)); err != nil {
		t.Fatal(err)
	}
	group.UID = types.UID("u-2")
	err := g.asks(g.put(key, group))
	if errors.As(err, new(*store.Forbidden)) { // the leader is still at it
		g.gone(v1alpha1.KeySealings)
		err = g.asks(g.put(key, group))
	}
	if err != nil {
		t.Fatal(err)
	}
	if n := g.store.View().Count(v1alpha1.KeySealings); n > 0 {
		t.Errorf("it is made anew while %d are left", n)
	}
}

// A cluster that was stolen had been granted 5,000 bundles, and was away while 300 were deleted.
func TestAClusterThatWasGrantedMuchIsRemovedAndComesBackWithNothing(t *testing.T) {
	g := newGreat(t)
	iad := &v1alpha1.Cluster{TypeMeta: v1alpha1.TypeOf("Cluster"), ObjectMeta: metav1.ObjectMeta{Name: "iad", UID: "u-iad"}, Spec: v1alpha1.ClusterSpec{Region: "us", Rights: v1alpha1.RightsReadOnly}}
	key, stolen := v1alpha1.KeyClusters+"iad", store.Member{ID: "22222222-2222-4222-8222-222222222222", Cluster: "iad", Region: "us", Pin: store.Pin{2}}
	ops := []store.Op{g.put(v1alpha1.KeyObserving+"iad", v1alpha1.Observing{Reason: v1alpha1.ReasonRestored}), g.put(key, iad), store.PutMember(stolen)}
	for i := range 5000 {
		ops = append(ops, g.put(v1alpha1.GrantKey("iad", fmt.Sprint("b-", i)), v1alpha1.Grant{Bundle: fmt.Sprint("b-", i), BundleUID: fmt.Sprint("u-", i), Revision: "r"}))
	}
	for i := range 300 {
		ops = append(ops, g.put(fmt.Sprint(v1alpha1.KeyTombstones, "t-", i), v1alpha1.Tombstone{Bundle: "gone", BundleUID: fmt.Sprint("t-", i), Clusters: []string{"iad"}}))
	}
	// Of some that have gone there is left only what cannot be read.
	garbled := []store.Op{
		store.Put(v1alpha1.GrantKey("sin", "shop"), []byte(`{"bundle": 7}`)),
		store.Put(v1alpha1.KeySealings+"secret.db-u-1", []byte(`{"group": "readers", "epoch": "three"}`)),
	}
	g.says(append(ops, garbled...)...)
	if err := g.asks(store.Delete(key)); err != nil {
		t.Fatal(err)
	}
	v := g.store.View()
	if _, removed, known := v.FindPin(stolen.Pin); !removed || !known {
		t.Error("the fleet goes on talking to it")
	}
	if grants, err := g.decoded.Standing(v); err != nil || len(grants) > 0 {
		t.Errorf("it has %d grants: %v", len(grants), err)
	}
	enter := func(v *store.View) error {
		_, err := epoch.Enter(v, law.Token{}, epoch.Joiner{Terms: law.Terms{Cluster: "iad", Region: "us"}})
		return err
	}
	if left := len(law.Leavings(v, key)); (left == 0) != (enter(v) == nil) || errors.As(enter(v), new(epoch.Refusal)) {
		t.Errorf("one of its name may come in: %v, with %d left", enter(v), left)
	}
	g.gone(v1alpha1.KeyGrants)
	g.gone(v1alpha1.KeyTombstones)
	g.gone(v1alpha1.KeySealings)
	if err := enter(g.store.View()); err != nil {
		t.Error(err)
	}
}

func TestWhatIsWrittenInPartsIsAllOfItInOrder(t *testing.T) {
	var ops, got []store.Op
	for i := range 9000 {
		ops = append(ops, store.Delete(fmt.Sprintf("/sealings/%0*d", 1+i%400, i)))
	}
	ops = slices.Insert(ops, 10, store.Put("/large", make([]byte, bytesAtOnce)))
	for some := range divided(ops) {
		c := store.Command{ID: store.CommandID{Incarnation: "id", Seq: 1}, Proposer: "id", Txn: &store.Txn{Then: some}}
		if size, err := c.Size(); err != nil || size > store.MaxEntry-1<<10 || len(some) == 0 || len(some) > store.MaxOps {
			t.Fatalf("%d ops in %d bytes: %v", len(some), size, err)
		}
		got = append(got, some...)
	}
	if !slices.EqualFunc(got, ops, func(a, b store.Op) bool { return a.Key == b.Key }) {
		t.Errorf("%d of %d ops", len(got), len(ops))
	}
	for range divided(nil) {
		t.Error("nothing is written")
	}
}
