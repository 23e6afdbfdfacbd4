package sim_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/agent"
	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/chaos/sim"
	"github.com/hanse-fleet/hanse/internal/virtual"
	"github.com/hanse-fleet/hanse/law"
)

// lost is how a fleet says that nobody opens what is sealed for the group readers.
const lost = "no cluster that holds the key of group readers is there, and nobody else can open what is sealed for it"

// alone is a fleet of five in which one alone, sin, reads the group readers, for which the secret db is sealed: no other cluster does, and no person.
func alone(t *testing.T, f *sim.Fleet) (*vault, *years) {
	t.Helper()
	y := &years{}
	f.Tune = func(_ *sim.Member, c *agent.CoreConfig) { c.Seams.Clock = y.now }
	five(f)
	iad := f.Members[1]
	writeObject(t, iad, readersKey, &v1alpha1.RecipientGroup{
		TypeMeta: v1alpha1.TypeOf("RecipientGroup"), ObjectMeta: metav1.ObjectMeta{Name: "readers", UID: "u-readers", Generation: 1},
		Spec: v1alpha1.RecipientGroupSpec{ClusterSelector: &metav1.LabelSelector{MatchLabels: map[string]string{v1alpha1.LabelRegion: "ap"}}},
	})
	f.Await("the group has its key", time.Minute, func() bool { return len(keyOfReaders(t, iad).Status.Wraps) == 1 })
	v := newVault(t, f, nil)
	v.seal(iad, "db", keyOfReaders(t, iad).Status.Recipient, 1)
	f.Await("it is granted", time.Minute, func() bool { return isGranted(iad, "sin", "secret.db") })
	f.Await("all know", time.Minute, func() bool { return caughtUp(iad, f.Members...) })
	return v, y
}

// asksFor asks for a change once.
func asksFor[T any](t *testing.T, m *sim.Member, key string, change func(*T)) error {
	t.Helper()
	var o T
	kv, _ := m.Core.Store().View().Get(key)
	if err := json.Unmarshal(kv.Value, &o); err != nil {
		t.Fatal(err)
	}
	change(&o)
	value, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err = sim.Propose(ctx, m.Core, key, value)
	return err
}

// While the only one that opens a secret is away, nothing is done that would make it the last one, and no time that passes does.
func TestWhatALoneHolderOpensIsNotLostWhileItIsAway(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		f := sim.New(t, wide)
		defer f.Close()
		v, y := alone(t, f)
		iad, sin := f.Members[1], f.Members[2]
		sin.Kill()
		f.Await("the fleet says so", 5*time.Minute, func() bool { return warned(iad, lost) })
		for what, try := range map[string]func(ctx context.Context) error{
			"sin is removed": func(ctx context.Context) error { _, err := sim.Remove(ctx, iad.Core, "sin"); return err },
			"sin gets another key": func(ctx context.Context) error {
				_, err := replaces(ctx, t, f, iad, sin, func(*sim.Member) {})
				return err
			},
			"sin gets another key, as it is gone": func(ctx context.Context) error {
				_, err := replaces(ctx, t, f, iad, sin, func(m *sim.Member) { m.KeysLost = true })
				return err
			},
			"sin is labelled": func(context.Context) error {
				return asksFor(t, iad, v1alpha1.KeyClusters+"sin", func(c *v1alpha1.Cluster) { c.Labels[v1alpha1.LabelRegion] = "eu" })
			},
			"the group is for others": func(context.Context) error {
				return asksFor(t, iad, readersKey, func(g *v1alpha1.RecipientGroup) { g.Spec.ClusterSelector.MatchLabels[v1alpha1.LabelRegion] = "eu" })
			},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
			if err := try(ctx); err == nil || !strings.Contains(err.Error(), "secret db") {
				t.Errorf("%s: %v", what, err)
			}
			cancel()
		}
		amend(t, iad, readersKey, func(g *v1alpha1.RecipientGroup) { g.Spec.Rotate++ }) // nobody can make one
		y.until(y.now().Add(time.Hour))                                                 // longer than any cluster is tolerated to be away
		time.Sleep(5 * time.Minute)
		if g := keyOfReaders(t, iad).Status; g.Epoch != 1 || len(g.Wraps) != 1 || !warned(iad, lost) {
			t.Errorf("while it is away, the key is the %d, wrapped for %d: %v", g.Epoch, len(g.Wraps), iad.Core.Status().Warnings)
		}
		if kv, _ := iad.Core.Store().View().Get(v1alpha1.GrantKey("sin", "secret.db")); !isGranted(iad, "sin", "secret.db") || strings.Contains(string(kv.Value), "withdraw") {
			t.Errorf("what it keeps is taken from it: %s", kv.Value)
		}
		sin.Start()
		f.Await("it is back, and does what it was asked for", 5*time.Minute, func() bool { return v.kept(iad, 2) && caughtUp(iad, sin) })
		v.nothingIsLost(iad, sin)
		f.Await("the fleet says that it is the only one", time.Minute, func() bool { return warned(iad, "only one cluster holds the key of group readers") })
	})
}

// replaces puts a new incarnation in the place of a member: with its key, or without.
func replaces(ctx context.Context, t *testing.T, f *sim.Fleet, through, before *sim.Member, set func(*sim.Member)) (*sim.Member, error) {
	t.Helper()
	token, err := through.Core.CreateToken(ctx, law.Terms{Cluster: before.Name, Replace: true})
	if err != nil {
		t.Fatal(err)
	}
	fresh := f.Candidate(before.Name, before.Region)
	set(fresh)
	return fresh, fresh.Enrol(ctx, token)
}

// The log of the only one that opens a secret is damaged, and its key is whole: another incarnation takes its place with that, and with no other.
func TestALoneHolderIsReplacedWithItsKey(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		f := sim.New(t, wide)
		defer f.Close()
		v, _ := alone(t, f)
		iad, sin := f.Members[1], f.Members[2]
		before := clusterAt(t, iad, "sin").Status.Recipient
		sin.Kill()
		if err := os.RemoveAll(filepath.Join(sin.Dir(), "raft")); err != nil {
			t.Fatal(err)
		}
		if err := sin.TryStart(); err == nil || !strings.Contains(err.Error(), "--keys-from "+sin.Dir()) {
			t.Errorf("it starts: %v", err)
		}
		time.Sleep(15 * time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		fresh, err := replaces(ctx, t, f, iad, sin, withKey(sin))
		if err != nil {
			t.Fatal(err)
		}
		fresh.Start()
		f.Await("it is in", 5*time.Minute, func() bool { return caughtUp(iad, fresh) })
		if g := keyOfReaders(t, iad).Status; g.Epoch != 1 || clusterAt(t, iad, "sin").Status.Recipient != before {
			t.Errorf("the key is the %d", g.Epoch)
		}
		v.nothingIsLost(iad, fresh)
	})
}

// The disk of the only one that opens a secret loses its key, and nobody can refuse that: the fleet says so, and does nothing that makes it worse. Should
// the key turn up, all is as it was.
func TestALoneHolderThatLostItsKeyMayFindItAgain(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		f := sim.New(t, wide)
		defer f.Close()
		v, y := alone(t, f)
		iad, sin := f.Members[1], f.Members[2]
		own := filepath.Join(sin.Dir(), "age.key")
		sin.Kill()
		if err := os.Rename(own, own+".found"); err != nil {
			t.Fatal(err)
		}
		before := clusterAt(t, iad, "sin").Status.Recipient
		y.until(y.now().Add(2 * law.RecipientKept)) // so that it may have another one
		sin.Start()
		f.Await("sin has another key", time.Minute, func() bool { return clusterAt(t, iad, "sin").Status.Recipient != before })
		f.Await("the fleet says so", 5*time.Minute, func() bool { return warned(iad, lost) })
		if _, opens := opensWithAllItHas(t, sin); opens {
			t.Error("it opens it with another key")
		}
		y.until(y.now().Add(2 * law.RecipientKept)) // so that it may have another one
		time.Sleep(2 * time.Minute)
		if g := keyOfReaders(t, iad).Status; g.Epoch != 1 || len(g.Wraps) != 1 {
			t.Fatalf("the key is the %d, wrapped for %d", g.Epoch, len(g.Wraps))
		}
		sin.Kill()
		if err := os.Rename(own+".found", own); err != nil {
			t.Fatal(err)
		}
		sin.Start()
		f.Await("sin has its key", time.Minute, func() bool { return clusterAt(t, iad, "sin").Status.Recipient == before })
		f.Await("the fleet says so", 5*time.Minute, func() bool { return !warned(iad, lost) })
		f.Await("sin knows all", time.Minute, func() bool { return caughtUp(iad, sin) })
		v.nothingIsLost(iad, sin)
	})
}
