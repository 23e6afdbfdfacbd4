package sim_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/hanse-fleet/hanse/agent"
	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/backup"
	"github.com/hanse-fleet/hanse/chaos/sim"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/epoch"
	"github.com/hanse-fleet/hanse/internal/virtual"
	"github.com/hanse-fleet/hanse/law"
)

// grants counts what the log allows clusters to do.
func grants(m *sim.Member) int { return m.Core.Store().View().Count(v1alpha1.KeyGrants) }

// atOnce lets rollouts go everywhere at once: nobody here carries out what is granted, so no wave would settle.
func atOnce(t *testing.T, f *sim.Fleet) {
	f.Settle(t.Context(), func(s *v1alpha1.FleetSpec) { s.Rollout = &v1alpha1.FleetRollout{MaxDomains: 100} })
}

// carriedOut lets members do what their clusters are granted, until it is ended.
func carriedOut(t *testing.T, members []*sim.Member) (end func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var clusters sync.WaitGroup
	for _, m := range members {
		clusters.Go(func() { carryOut(ctx, m) })
	}
	return func() { cancel(); clusters.Wait() }
}

// statement is what a stopped member says it has.
func statement(t *testing.T, m *sim.Member) epoch.Statement {
	t.Helper()
	s, err := agent.Survey(m.Dir(), nil)
	if err != nil {
		t.Fatalf("survey %s: %v", m.Name, err)
	}
	return s
}

func further(a, b epoch.Statement) bool {
	return a.LastTerm > b.LastTerm || a.LastTerm == b.LastTerm && a.LastIndex > b.LastIndex
}

// withdraws says whether a member has read that another one's cluster is told to withdraw the bundle.
func withdraws(m, to *sim.Member) bool {
	kv, _ := m.Core.Store().View().Get(v1alpha1.GrantKey(to.Name, "shop"))
	return strings.Contains(string(kv.Value), "withdraw")
}

// resume is a person's go, for all clusters that have a member, or for some.
func resume(t *testing.T, m *sim.Member, clusters ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := m.Core.Resume(ctx, clusters...); err != nil {
		t.Fatalf("resume: %v", err)
	}
}

// joins lets the cluster of a lost member join again, with a fresh data directory.
func joins(t *testing.T, f *sim.Fleet, through, lost *sim.Member) *sim.Member {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	token, err := through.Core.CreateToken(ctx, law.Terms{Cluster: lost.Name})
	if err != nil {
		t.Fatal(err)
	}
	fresh := f.Candidate(lost.Name, lost.Region)
	if err := fresh.Enrol(ctx, token); err != nil {
		t.Fatalf("%s joins again: %v", lost.Name, err)
	}
	fresh.Start()
	return fresh
}

func TestALostMajorityIsRecoveredOnTheMostAdvancedSurvivor(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		f := sim.New(t, wide)
		defer f.Close()
		spread(f, 5, map[string]int{"eu": 2, "us": 2, "ap": 1})
		lost, survivors := f.Members[:3:3], f.Members[3:5:5]
		for i := range 20 {
			write(t, f.Members[i%5], fmt.Sprint("acknowledged-", i), i+1)
		}
		atOnce(t, f)
		put(t, f.Members[0], "u1")
		f.Await("every cluster is granted the bundle", time.Minute, func() bool { return grants(survivors[0]) == 5 })
		for _, m := range lost { // all at once
			m.Isolate()
		}
		for _, m := range lost {
			m.Kill()
		}
		had := map[string]bool{}
		newest := store.Revision(0)
		for _, m := range survivors {
			v := m.Core.Store().View()
			newest = max(newest, v.Revision())
			for _, kv := range v.List(v1alpha1.KeyUsers + "acknowledged-") {
				had[strings.TrimPrefix(kv.Key, v1alpha1.KeyUsers)] = true
			}
			if err := m.Stop(); err != nil {
				t.Fatal(err)
			}
		}
		best, other := survivors[0], survivors[1]
		if further(statement(t, other), statement(t, best)) {
			best, other = other, best
		}
		fenced := []string{lost[0].Name, lost[1].Name, lost[2].Name}
		if _, err := agent.Recover(agent.RecoverOptions{DataDir: best.Dir(), Survivors: []epoch.Statement{statement(t, other)}, Fenced: fenced[:2]}); !errors.As(err, new(*epoch.UnfencedError)) {
			t.Errorf("with one that may come back: %v", err)
		}
		e, err := agent.Recover(agent.RecoverOptions{DataDir: best.Dir(), Survivors: []epoch.Statement{statement(t, other)}, Fenced: fenced, Version: "sim"})
		if err != nil {
			t.Fatal(err)
		}
		if e.Epoch.Number != 2 || e.Epoch.Began < newest+store.Jump || len(e.Waiting) != 4 {
			t.Errorf("it is %+v", e)
		}
		if _, err := agent.Recover(agent.RecoverOptions{DataDir: best.Dir()}); err == nil || !strings.Contains(err.Error(), "majority is not lost") {
			t.Errorf("recovered again: %v", err)
		}

		best.Start()
		write(t, best, "after", 1)
		for key := range had {
			if best.Has(key) == 0 {
				t.Errorf("%s, which a survivor had, is gone", key)
			}
		}
		// It only looks: a bundle that is deleted is withdrawn from nowhere, though its tombstone is there.
		bury(t, best)
		time.Sleep(20 * time.Second)
		for _, kv := range best.Core.Store().View().List(v1alpha1.KeyGrants) {
			if strings.Contains(string(kv.Value), "withdraw") || kv.Modified >= e.Epoch.Began {
				t.Errorf("before a person said go: %s = %s at %d", kv.Key, kv.Value, kv.Modified)
			}
		}

		// A survivor of the old epoch that wakes up is refused, and changes nothing.
		other.Start()
		time.Sleep(20 * time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		if _, err := other.Write(ctx, "stray", 1); !errors.Is(err, store.ErrNoQuorum) {
			t.Errorf("a write through the old epoch: %v", err)
		}
		cancel()
		if !warned(other, "hanse token create --cluster "+other.Name) {
			t.Errorf("it does not say what to do: %v", other.Core.Status().Warnings)
		}
		if v := best.Core.Store().View(); len(v.Members()) != 1 || best.Has("stray") != 0 {
			t.Errorf("members %v", v.Members())
		}
		if got := other.Core.Store().View().Revision(); got >= store.Jump {
			t.Errorf("the old epoch has heard of the new one: revision %d", got)
		}
		if err := other.Stop(); err != nil {
			t.Fatal(err)
		}

		resume(t, best)
		f.Await("what was deleted is withdrawn from who is there", time.Minute, func() bool { return withdraws(best, best) })
		if _, err := best.Core.CreateToken(t.Context(), law.Terms{Cluster: other.Name, Voting: v1alpha1.VotingNever}); err == nil || !strings.Contains(err.Error(), "is on record with voting") {
			t.Errorf("a token that would change the record: %v", err)
		}
		var fresh []*sim.Member
		for _, m := range append(lost, other) {
			fresh = append(fresh, joins(t, f, best, m))
		}
		// Who comes back after a person said go was not seen then: it only looks until it is resumed, too.
		time.Sleep(20 * time.Second)
		for _, m := range fresh {
			if withdraws(best, m) {
				t.Errorf("%s acts, and nobody has said go", m.Name)
			}
		}
		if !warned(fresh[0], "some clusters only look") {
			t.Errorf("nobody is told: %v", fresh[0].Core.Status().Warnings)
		}
		resume(t, fresh[1], fresh[0].Name)
		f.Await("who was named acts", time.Minute, func() bool { return withdraws(best, fresh[0]) })
		if withdraws(best, fresh[1]) {
			t.Errorf("%s acts, and was not named", fresh[1].Name)
		}
		resume(t, fresh[1])
		defer carriedOut(t, append(fresh, best))() // a wave of a fault domain waits for the one before
		f.Await("all act", time.Minute, func() bool { return grants(best) == 0 })
		if warned(best, "only look") {
			t.Errorf("it still warns: %v", best.Core.Status().Warnings)
		}
		f.Await("five vote again", 3*time.Minute, func() bool { return len(best.Core.Node().Status().Voters) == 5 })
		write(t, fresh[3], "whole", 1)
		f.Await("all have all", time.Minute, func() bool {
			for _, m := range fresh {
				if m.Has("after") != 1 || m.Has("whole") != 1 || m.Core.Store().View().Epoch().ID != e.Epoch.ID {
					return false
				}
			}
			return true
		})
	})
}

func TestABackupIsRestoredIntoAFleetThatOnlyLooks(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		f := sim.New(t, wide)
		defer f.Close()
		five(f)
		write(t, f.Members[1], "before", 1)
		atOnce(t, f)
		put(t, f.Members[0], "u1")
		f.Await("every cluster is granted the bundle", time.Minute, func() bool { return grants(f.Members[0]) == 5 })
		key, err := age.GenerateX25519Identity()
		if err != nil {
			t.Fatal(err)
		}
		var file bytes.Buffer
		from := f.Members[0].Core.Store().Snapshot()
		if _, err := backup.Write(&file, []age.Recipient{key.Recipient()}, backup.Header{Fleet: "sim", Member: "fra"}, from); err != nil {
			t.Fatal(err)
		}
		write(t, f.Members[1], "later", 1)
		for _, m := range f.Members {
			m.Kill()
		}
		first := f.Candidate("fra", "eu")
		_, e, err := agent.Restore(agent.RestoreOptions{
			DataDir: first.Dir(), Fleet: "sim", Cluster: "fra", Addresses: first.Addresses(), Backup: &file, Identities: []age.Identity{key}, Version: "sim",
		})
		if err != nil {
			t.Fatal(err)
		}
		if e.Region != "eu" || e.Epoch.From() != from.View().Revision() || len(e.Waiting) != 4 {
			t.Errorf("it is %+v", e)
		}
		first.Start()
		write(t, first, "after", 1)
		if first.Has("before") != 1 || first.Has("later") != 0 {
			t.Errorf("it has before %d, later %d", first.Has("before"), first.Has("later"))
		}
		bury(t, first)
		put(t, first, "u2") // another bundle of the name: nothing of it is granted
		iad := joins(t, f, first, f.Members[1])
		time.Sleep(20 * time.Second)
		for _, m := range []*sim.Member{first, iad} {
			for _, kv := range m.Core.Store().View().List(v1alpha1.KeyGrants) {
				if kv.Modified >= e.Epoch.Began {
					t.Errorf("before a person said go: %s = %s", kv.Key, kv.Value)
				}
			}
		}
		resume(t, iad)
		f.Await("who is there is granted the new bundle", time.Minute, func() bool {
			for _, m := range []*sim.Member{first, iad} {
				kv, _ := first.Core.Store().View().Get(v1alpha1.GrantKey(m.Name, "shop"))
				if !strings.Contains(string(kv.Value), "u2") {
					return false
				}
			}
			return true
		})
	})
}
