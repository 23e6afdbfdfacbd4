package sim_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/chaos/sim"
	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/internal/virtual"
)

// asLeader writes what the leader alone may: anything.
func asLeader(t *testing.T, f *sim.Fleet, ops ...store.Op) {
	t.Helper()
	f.Await("the leader writes it", 5*time.Minute, func() bool {
		leader := f.Leader()
		if leader == nil {
			return false
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, err := leader.Core.Node().Propose(ctx, consensus.Proposal{Term: leader.Core.Node().Status().Term, Txn: store.Txn{Then: ops}})
		return err == nil
	})
}

// TestOneThatCannotBeReadHoldsUpNothingElse: a leader that is bad wrote one of each that no version of ours writes.
func TestOneThatCannotBeReadHoldsUpNothingElse(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		f := sim.New(t, wide)
		defer f.Close()
		five(f)
		iad := f.Members[1]
		v := newVault(t, f, nil)
		readers(t, iad, newKey(t))
		f.Await("fra and ams hold the key", time.Minute, func() bool { return heldBy(t, iad, "ams", "fra") })
		v.seal(iad, "db", keyOfReaders(t, iad).Status.Recipient, 1)
		garbled := []string{
			v1alpha1.KeyRecipientGroups + "others", v1alpha1.KeyFleetSecrets + "bad", v1alpha1.KeyBundleRevisions + "secret.bad-u-bad-1",
			v1alpha1.KeySealings + v1alpha1.RevisionName("secret.db", "u-db", 1),
		}
		for _, key := range garbled {
			asLeader(t, f, store.Put(key, []byte("junk")))
		}
		const nobodys = v1alpha1.KeyBundleRevisions + "web-u-web-1"
		asLeader(t, f, store.Put(nobodys, []byte(`{"kind":"BundleRevision","apiVersion":"fleet.hanse.dev/v1alpha1","metadata":{"name":"web-u-web-1"},"spec":{"bundle":"web","bundleUID":"u-web"}}`)))
		f.Await("what nothing refers to goes", 5*time.Minute, func() bool { _, there := iad.Core.Store().View().Get(nobodys); return !there })

		cdg := f.Join("cdg", "us")
		f.Await("iad has heard of cdg", time.Minute, func() bool { _, there := iad.Core.Store().View().Get(v1alpha1.KeyClusters + "cdg"); return there })
		amend(t, iad, v1alpha1.KeyClusters+"cdg", func(c *v1alpha1.Cluster) { c.Labels[v1alpha1.LabelRegion] = "eu" })
		f.Await("who joins gets the key", 5*time.Minute, func() bool { return heldBy(t, iad, "ams", "cdg", "fra") })
		amend(t, iad, readersKey, func(g *v1alpha1.RecipientGroup) { g.Spec.Rotate = 1 })
		f.Await("the group gets another key, and all is sealed again to it, also of which could not be read how it was", 10*time.Minute, func() bool { return v.kept(iad, 2) })
		v.seal(iad, "db", keyOfReaders(t, iad).Status.Recipient, 2)
		f.Await("another value is rolled out to all of the group", 10*time.Minute, func() bool {
			for _, cluster := range []string{"ams", "cdg", "fra"} {
				g, _ := iad.Core.Store().View().Get(v1alpha1.GrantKey(cluster, "secret.db"))
				if !strings.Contains(string(g.Value), "secret.db-u-db-2") {
					return false
				}
			}
			return true
		})
		v.nothingIsLost(iad, cdg, f.Members[0], f.Members[3])

		said := strings.Join(iad.Core.Status().Warnings, "\n")
		for i, key := range garbled {
			kv, _ := iad.Core.Store().View().Get(key)
			if left := string(kv.Value) == "junk"; left != (i < 3) {
				t.Errorf("%s is left alone: %v", key, left)
			}
		}
		if strings.Count(said, "recipient group others cannot be read") != 1 || strings.Count(said, "secret bad cannot be read") != 1 {
			t.Errorf("the status says\n%s", said)
		}
	})
}
