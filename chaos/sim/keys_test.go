package sim_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/chaos/canary"
	"github.com/hanse-fleet/hanse/chaos/sim"
	"github.com/hanse-fleet/hanse/internal/virtual"
	"github.com/hanse-fleet/hanse/law"
	"github.com/hanse-fleet/hanse/secrets"
)

const (
	readersKey = v1alpha1.KeyRecipientGroups + "readers"
	password   = "canary-4711-of-the-database"
)

// readers makes the group of the clusters in the region eu, and of a person who recovers.
func readers(t *testing.T, m *sim.Member, recovery secrets.Identity) {
	t.Helper()
	writeObject(t, m, readersKey, &v1alpha1.RecipientGroup{
		TypeMeta: v1alpha1.TypeOf("RecipientGroup"), ObjectMeta: metav1.ObjectMeta{Name: "readers", UID: "u-readers", Generation: 1},
		Spec: v1alpha1.RecipientGroupSpec{RecoveryRecipients: []string{recovery.Recipient().String()}, ClusterSelector: &metav1.LabelSelector{MatchLabels: map[string]string{v1alpha1.LabelRegion: "eu"}}},
	})
}

func writeObject(t *testing.T, m *sim.Member, key string, object any) {
	t.Helper()
	value, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if _, err := sim.Propose(ctx, m.Core, key, value); err != nil {
		t.Fatal(err)
	}
}

// keyOfReaders is what a member knows of the group.
func keyOfReaders(t *testing.T, m *sim.Member) (g v1alpha1.RecipientGroup) {
	t.Helper()
	kv, _ := m.Core.Store().View().Get(readersKey)
	if len(kv.Value) > 0 {
		if err := json.Unmarshal(kv.Value, &g); err != nil {
			t.Fatal(err)
		}
	}
	return g
}

// heldBy says whether just these clusters, and the person, have the group's key, as a member knows.
func heldBy(t *testing.T, m *sim.Member, clusters ...string) bool {
	t.Helper()
	var holders []string
	for _, w := range keyOfReaders(t, m).Status.Wraps {
		holders = append(holders, w.Cluster)
	}
	slices.Sort(holders)
	return slices.Equal(holders, append([]string{""}, clusters...))
}

// ownKey is the private key in a member's data directory.
func ownKey(t *testing.T, m *sim.Member) secrets.Identity {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(m.Dir(), "age.key"))
	if err != nil {
		t.Fatal(err)
	}
	id, err := secrets.ParseIdentity(strings.TrimSpace(string(text[bytes.IndexByte(text, '\n'):])))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// opensWithAllItHas is the group's key, if one who has a member's data directory can get at it: all that is in the log, and the member's own key.
func opensWithAllItHas(t *testing.T, m *sim.Member) (key secrets.Identity, opens bool) {
	t.Helper()
	return opensWith(t, m, ownKey(t, m))
}

func opensWith(t *testing.T, m *sim.Member, own secrets.Identity) (key secrets.Identity, opens bool) {
	t.Helper()
	g := keyOfReaders(t, m)
	for _, w := range g.Status.Wraps {
		of := secrets.Key{Fleet: "sim", Group: "readers", Epoch: w.Epoch}
		if key, err := secrets.Unwrap(own, of, g.Status.Recipient, w.Wrap); err == nil {
			return key, true
		}
	}
	return key, false
}

// lackedByAll checks that values are in no file of any member, its snapshots among them.
func lackedByAll(t *testing.T, f *sim.Fleet, values map[string][]byte) {
	t.Helper()
	finder := canary.New(values)
	for _, m := range f.Members {
		found, err := finder.Files(m.Dir())
		if err != nil {
			t.Fatal(err)
		}
		for _, what := range found {
			t.Errorf("%s has %s", m.Name, what)
		}
	}
}

// inASnapshotOf says whether a value is in a snapshot that a member keeps.
func inASnapshotOf(t *testing.T, m *sim.Member, value []byte) bool {
	t.Helper()
	found, err := canary.New(map[string][]byte{"it": value}).Files(filepath.Join(m.Dir(), "raft", "snapshots"))
	if err != nil {
		t.Fatal(err)
	}
	return len(found) > 0
}

func TestTheKeyOfAGroupIsMadeOnceAndHeldByTheGroupAlone(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		f := sim.New(t, wide)
		defer f.Close()
		f.Timing.Snapshot, f.Seams.SnapshotThreshold = 2*time.Second, 1
		five(f)
		recovery, err := secrets.NewIdentity()
		if err != nil {
			t.Fatal(err)
		}
		readers(t, f.Members[1], recovery)
		f.Await("fra and ams hold the key", time.Minute, func() bool {
			return !slices.ContainsFunc(f.Members, func(m *sim.Member) bool { return !heldBy(t, m, "ams", "fra") })
		})
		first := keyOfReaders(t, f.Members[1]).Status.Recipient

		s := &v1alpha1.FleetSecret{TypeMeta: v1alpha1.TypeOf("FleetSecret"), ObjectMeta: metav1.ObjectMeta{Name: "db", UID: "u-db", Generation: 1},
			Spec: v1alpha1.FleetSecretSpec{Group: "readers", Namespace: "shop"}}
		to, err := secrets.ParseRecipient(first)
		if err != nil {
			t.Fatal(err)
		}
		target := secrets.Target{Namespace: "shop", Name: "db"}
		if s.Spec.Data, err = secrets.Seal(to, target, map[string][]byte{"password": []byte(password)}); err != nil {
			t.Fatal(err)
		}
		writeObject(t, f.Members[2], v1alpha1.KeyFleetSecrets+"db", s)
		f.Await("the secret is granted to the group alone", 5*time.Minute, func() bool {
			v := f.Members[2].Core.Store().View()
			_, inSin := v.Get(v1alpha1.GrantKey("sin", "secret.db"))
			if inSin {
				t.Fatal("it is granted outside of the group")
			}
			ams, there := v.Get(v1alpha1.GrantKey("ams", "secret.db"))
			return there && strings.Contains(string(ams.Value), "secret.db-u-db-1")
		})

		for _, m := range f.Members {
			key, opens := opensWithAllItHas(t, m)
			if want := m.Name == "fra" || m.Name == "ams"; opens != want {
				t.Errorf("%s opens the group's key: %v", m.Name, opens)
			}
			if !opens {
				if _, err := secrets.Open(ownKey(t, m), target, s.Spec.Data); err == nil {
					t.Errorf("%s opens the secret with its own key", m.Name)
				}
				continue
			}
			data, err := secrets.Open(key, target, s.Spec.Data)
			if err != nil || string(data["password"]) != password {
				t.Errorf("%s opens it as %d values: %v", m.Name, len(data), err)
			}
		}
		for _, m := range f.Members {
			f.Await("what is sealed is in a snapshot of "+m.Name, 5*time.Minute, func() bool { return inASnapshotOf(t, m, s.Spec.Data[len(s.Spec.Data)-64:]) })
		}
		key, opens := opensWith(t, f.Members[2], recovery)
		if !opens {
			t.Fatal("the recovery key does not open the group's key")
		}
		values, err := canary.Identity("the group's key", key.Reveal())
		if err != nil {
			t.Fatal(err)
		}
		values["the secret"] = []byte(password)
		lackedByAll(t, f, values)
		if data, err := secrets.Open(key, target, s.Spec.Data); err != nil || string(data["password"]) != password {
			t.Errorf("with the recovery key it opens as %d values: %v", len(data), err)
		}

		// Who joins the group gets the key from who holds it, and with the first holder dead, from the next one.
		f.Members[3].Kill() // ams
		cdg := f.JoinBy(law.Terms{Cluster: "cdg", Region: "eu"}, "cdg", "eu")
		f.Await("cdg holds the key, too", 2*time.Minute, func() bool { return heldBy(t, f.Members[1], "ams", "cdg", "fra") })
		if now := keyOfReaders(t, f.Members[1]).Status; now.Recipient != first || now.Epoch != 1 {
			t.Errorf("the key is another one now, of epoch %d", now.Epoch)
		}
		f.Await("cdg has read that", time.Minute, func() bool { return heldBy(t, cdg, "ams", "cdg", "fra") })
		if _, opens := opensWithAllItHas(t, cdg); !opens {
			t.Error("cdg does not open it")
		}
	})
}

// isGranted says whether a cluster is granted what is rolled out under a name, as a member knows.
func isGranted(m *sim.Member, cluster, bundle string) bool {
	_, there := m.Core.Store().View().Get(v1alpha1.GrantKey(cluster, bundle))
	return there
}

func TestWhoJoinsWhileNobodyHoldsTheKeyIsOwedWhatIsSealed(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		f := sim.New(t, wide)
		defer f.Close()
		five(f)
		recovery, err := secrets.NewIdentity()
		if err != nil {
			t.Fatal(err)
		}
		cdg := f.Join("cdg", "us")
		iad, ams := f.Members[1], f.Members[3]
		readers(t, iad, recovery)
		f.Await("fra and ams hold the key", time.Minute, func() bool { return heldBy(t, iad, "ams", "fra") })
		f.Members[0].Kill()
		ams.Kill()
		amend(t, iad, v1alpha1.KeyClusters+"cdg", func(c *v1alpha1.Cluster) { c.Labels[v1alpha1.LabelRegion] = "eu" })
		v := newVault(t, f, nil)
		v.seal(iad, "db", keyOfReaders(t, iad).Status.Recipient, 1)
		told := func() string {
			var s v1alpha1.FleetSecret
			kv, _ := iad.Core.Store().View().Get(v1alpha1.KeyFleetSecrets + "db")
			if err := json.Unmarshal(kv.Value, &s); err != nil || len(s.Status.Conditions) == 0 {
				return ""
			}
			return s.Status.Conditions[0].Message
		}
		f.Await("it is told what cdg waits for", 5*time.Minute, func() bool { return strings.Contains(told(), "no key of group readers for cdg yet") })
		time.Sleep(5 * time.Minute)
		if isGranted(iad, "cdg", "secret.db") {
			t.Fatal("cdg is granted what it cannot open")
		}
		ams.Start()
		f.Await("cdg gets the key, and with it a wave of what is sealed", 5*time.Minute, func() bool {
			var r v1alpha1.Rollout
			kv, _ := iad.Core.Store().View().Get(v1alpha1.KeyRollouts + "secret.db-u-db-1")
			return json.Unmarshal(kv.Value, &r) == nil && slices.ContainsFunc(r.Spec.Waves, func(w v1alpha1.Wave) bool { return slices.Contains(w.Clusters, "cdg") })
		})
		f.Await("cdg knows", time.Minute, func() bool { return cdg.Core.Store().View().Revision() >= iad.Core.Store().View().Revision() })
		v.nothingIsLost(cdg, cdg, ams)
	})
}

// TestTheFleetsRecoveryRecipientHoldsTheKeyOfEveryGroup: it is wrapped for it wherever the fleet's settings are written, and when it is taken out
// the group gets another key that it does not open.
func TestTheFleetsRecoveryRecipientHoldsTheKeyOfEveryGroup(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		f := sim.New(t, wide)
		defer f.Close()
		five(f)
		safe, own := newKey(t), newKey(t)
		settings := func(recipients ...string) {
			kv := f.Members[0].Core.Store().View().List(v1alpha1.KeyFleets)[0]
			var fleet v1alpha1.Fleet
			if err := json.Unmarshal(kv.Value, &fleet); err != nil {
				t.Fatal(err)
			}
			fleet.Spec.RecoveryRecipients = recipients
			writeObject(t, f.Members[2], kv.Key, &fleet)
		}
		settled := func(epoch int64, people int) func() bool {
			return func() bool {
				s := keyOfReaders(t, f.Members[1]).Status
				wraps := 0
				for _, w := range s.Wraps {
					if w.Cluster == "" {
						wraps++
					}
				}
				return s.Epoch == epoch && !s.Unproven() && len(s.Wraps) == 2+people && wraps == people
			}
		}
		readers(t, f.Members[1], own)
		f.Await("the group's own holds the key", 2*time.Minute, settled(1, 1))
		settings(safe.Recipient().String())
		f.Await("the fleet's does, too", 2*time.Minute, settled(1, 2))
		if _, opens := opensWith(t, f.Members[1], safe); !opens {
			t.Error("the fleet's recovery key does not open the group's")
		}
		settings()
		f.Await("there is another key", 5*time.Minute, settled(2, 1))
		if _, opens := opensWith(t, f.Members[1], safe); opens {
			t.Error("who was taken out opens the next key")
		}
		if _, opens := opensWith(t, f.Members[1], own); !opens {
			t.Error("who stays does not")
		}
		left := keyOfReaders(t, f.Members[1]).Status.Left
		if len(left) != 1 || left[0].Key != v1alpha1.KeyID(safe.Recipient().String()) || left[0].Epoch != 1 {
			t.Errorf("who left is told as %v", left)
		}
	})
}

func newKey(t *testing.T) secrets.Identity {
	t.Helper()
	id, err := secrets.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// TestARecipientThatItsMemberDidNotSignGetsNoKey: a leader that lies puts a recipient of its own into a Cluster.
func TestARecipientThatItsMemberDidNotSignGetsNoKey(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		f := sim.New(t, wide)
		defer f.Close()
		five(f)
		iad, sin := f.Members[1], f.Members[2]
		readers(t, iad, newKey(t))
		f.Await("fra and ams hold the key", time.Minute, func() bool { return heldBy(t, iad, "ams", "fra") })
		made, own := newKey(t), ownKey(t, sin).Recipient().String()
		as := func(recipient string) { // the leader alone can: others the law refuses
			f.Await("sin has another recipient and region", time.Minute, func() bool {
				leader := f.Leader()
				if leader == nil {
					return false
				}
				kv, _ := leader.Core.Store().View().Get(v1alpha1.KeyClusters + "sin")
				var c v1alpha1.Cluster
				if err := json.Unmarshal(kv.Value, &c); err != nil {
					t.Fatal(err)
				}
				c.Labels[v1alpha1.LabelRegion], c.Status.Recipient = "eu", recipient
				value, err := json.Marshal(c)
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				p, err := sim.Proposal(leader.Core, v1alpha1.KeyClusters+"sin", value)
				if p.Term = leader.Core.Node().Status().Term; err == nil {
					_, err = leader.Core.Node().Propose(ctx, p)
				}
				return err == nil
			})
		}
		as(made.Recipient().String())
		amend(t, iad, v1alpha1.KeyClusters+"ams", func(c *v1alpha1.Cluster) { c.Labels[v1alpha1.LabelRegion] = "us" })
		f.Await("fra made another key, that it alone holds", 5*time.Minute, func() bool {
			s := keyOfReaders(t, iad).Status
			return s.Epoch == 2 && !s.Unproven() && heldBy(t, iad, "fra")
		})
		time.Sleep(2 * time.Minute)
		if _, opens := opensWith(t, iad, made); opens || !heldBy(t, iad, "fra") {
			t.Error("a recipient that sin did not sign has the key")
		}
		as(own)
		f.Await("sin's own has it", 2*time.Minute, func() bool { return heldBy(t, iad, "fra", "sin") })
		f.Await("sin knows", time.Minute, func() bool { return heldBy(t, sin, "fra", "sin") })
		if _, opens := opensWithAllItHas(t, sin); !opens {
			t.Error("sin does not open it")
		}
	})
}
