package sim_test

import (
	"bytes"
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/agent"
	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/backup"
	"github.com/hanse-fleet/hanse/chaos/sim"
	"github.com/hanse-fleet/hanse/epoch"
	"github.com/hanse-fleet/hanse/internal/virtual"
	"github.com/hanse-fleet/hanse/law"
)

// sealedForEu makes five clusters, and a secret for the group of fra and ams, that no recovery key opens.
func sealedForEu(t *testing.T, f *sim.Fleet) *vault {
	t.Helper()
	five(f)
	writeObject(t, f.Members[1], readersKey, &v1alpha1.RecipientGroup{
		TypeMeta: v1alpha1.TypeOf("RecipientGroup"), ObjectMeta: metav1.ObjectMeta{Name: "readers", UID: "u-readers", Generation: 1},
		Spec: v1alpha1.RecipientGroupSpec{ClusterSelector: &metav1.LabelSelector{MatchLabels: map[string]string{v1alpha1.LabelRegion: "eu"}}},
	})
	f.Await("fra and ams hold the key", 2*time.Minute, func() bool { return holders(t, f.Members[1], "ams", "fra") })
	v := newVault(t, f, nil)
	v.seal(f.Members[1], "db", keyOfReaders(t, f.Members[1]).Status.Recipient, 1)
	f.Await("all know the secret", time.Minute, func() bool {
		return !slices.ContainsFunc(f.Members, func(m *sim.Member) bool { return m.Core.Store().View().Count(v1alpha1.KeyFleetSecrets) == 0 })
	})
	v.open(f.Members[1], "fra", 0)
	v.open(f.Members[1], "ams", 0)
	return v
}

// holders says whether just these hold the present key of the group, which somebody has opened, as a member knows.
func holders(t *testing.T, m *sim.Member, clusters ...string) bool {
	t.Helper()
	s := keyOfReaders(t, m).Status
	var all []string
	for _, w := range s.Wraps {
		if w.Opens() {
			all = append(all, w.Cluster)
		}
	}
	slices.Sort(all)
	return slices.Equal(all, clusters) && !s.Unproven()
}

// open wants as many lines of the ledger open for a cluster.
func (v *vault) open(m *sim.Member, cluster string, want int) {
	v.Helper()
	l, err := m.Core.Ledger(m.Core.Store().View())
	if err != nil {
		v.Fatal(err)
	}
	if e := l.Exposed(cluster); e.Open != want {
		v.Errorf("%d lines are open for %s, not %d: %+v", e.Open, cluster, want, e.Items)
	}
}

// survives stops all members; the heir has what nobody else has, and the survivor an older log.
func survives(t *testing.T, f *sim.Fleet, heir, survivor *sim.Member) (lost []string) {
	t.Helper()
	if err := survivor.Stop(); err != nil {
		t.Fatal(err)
	}
	write(t, f.Members[1], "later", 1)
	f.Await("the heir has it", time.Minute, func() bool { return heir.Has("later") == 1 })
	gone := slices.DeleteFunc(slices.Clone(f.Members), func(m *sim.Member) bool { return m == heir || m == survivor })
	for _, m := range gone {
		m.Isolate()
		lost = append(lost, m.Name)
	}
	for _, m := range gone {
		m.Kill()
	}
	if err := heir.Stop(); err != nil {
		t.Fatal(err)
	}
	return lost
}

// returns lets the cluster of a member join again: with its key, or without.
func returns(t *testing.T, f *sim.Fleet, through, before *sim.Member, set func(*sim.Member)) (*sim.Member, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	token, err := through.Core.CreateToken(ctx, law.Terms{Cluster: before.Name})
	if err != nil {
		t.Fatal(err)
	}
	fresh := f.Candidate(before.Name, before.Region)
	set(fresh)
	return fresh, fresh.Enrol(ctx, token)
}

func withKey(of *sim.Member) func(*sim.Member) {
	return func(m *sim.Member) { m.Former = agent.Former{DataDir: of.Dir()} }
}

var errNo = errors.New("no")

// TestASurvivorBringsTheKeyThatTheHeirLacks: nobody else opens what is sealed, so it is asked for before, and cannot be lost without a word.
func TestASurvivorBringsTheKeyThatTheHeirLacks(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		f := sim.New(t, wide)
		defer f.Close()
		v := sealedForEu(t, f)
		fra, iad, ams := f.Members[0], f.Members[1], f.Members[3]
		lost := survives(t, f, iad, ams)
		var told []epoch.Shut
		no := func(shut []epoch.Shut) error { told = shut; return errNo }
		if _, err := agent.Recover(agent.RecoverOptions{DataDir: iad.Dir(), Fenced: append(slices.Clone(lost), "ams"), Agree: no}); !errors.Is(err, errNo) || len(told) != 1 || !told[0].Lost() {
			t.Errorf("without ams it is told %+v: %v", told, err)
		}
		options := agent.RecoverOptions{DataDir: iad.Dir(), Survivors: []epoch.Statement{statement(t, ams)}, Fenced: lost, Version: "sim", Agree: no}
		want := []epoch.Shut{{Group: "readers", Secrets: []string{"db"}, By: []string{"ams"}}}
		if _, err := agent.Recover(options); !errors.Is(err, errNo) || !reflect.DeepEqual(told, want) {
			t.Errorf("with ams it is told %+v: %v", told, err)
		}
		options.Agree = nil
		e, err := agent.Recover(options)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(e.Keyed, []string{"ams"}) {
			t.Errorf("these are said to have a key: %v", e.Keyed)
		}
		iad.Start()
		write(t, iad, "after", 1)
		v.open(iad, "ams", 0)

		var refused epoch.Refusal
		if _, err := returns(t, f, iad, ams, func(*sim.Member) {}); err == nil || !strings.Contains(err.Error(), "holds the key of group readers") {
			t.Errorf("ams comes back without its key: %v", err)
		}
		if _, err := returns(t, f, iad, ams, withKey(fra)); err == nil || errors.As(err, &refused) || !strings.Contains(err.Error(), "it is of fra of fleet sim") {
			t.Errorf("ams comes back with fra's key: %v", err)
		}
		fresh, err := returns(t, f, iad, ams, withKey(ams))
		if err != nil {
			t.Fatal(err)
		}
		v.open(iad, "ams", 0)
		v.nothingIsLost(iad, ams) // what is in the log opens with the key that ams had
		fresh.Start()
		f.Await("fra's key is lost, so the group gets another one", 5*time.Minute, func() bool { return holders(t, iad, "ams") && keyOfReaders(t, iad).Status.Epoch == 2 })
		v.nothingIsLost(iad, fresh)
		v.open(iad, "ams", 0)
		v.open(iad, "fra", 1)
		again, err := returns(t, f, iad, fra, func(*sim.Member) {})
		if err != nil {
			t.Fatal(err)
		}
		again.Start()
		f.Await("fra gets the key", 5*time.Minute, func() bool { return holders(t, iad, "ams", "fra") })
		v.open(iad, "ams", 0)
		v.open(iad, "fra", 1)
		f.Await("what is sealed is sealed again", 5*time.Minute, func() bool { return v.kept(iad, 2) })
		v.seal(iad, "db", keyOfReaders(t, iad).Status.Recipient, 2)
		f.Await("that is told", 5*time.Minute, func() bool { return v.kept(iad, 2) })
		l, err := iad.Core.Ledger(iad.Core.Store().View())
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range l.Exposed("").Items {
			if x.Cluster != "fra" {
				t.Errorf("a line is of %s", x.Cluster)
			}
		}
		v.nothingIsLost(iad, fresh, again)
	})
}

// TestNobodyIsExposedByARecovery in which all who read survive: the group's key stays, and who holds it.
func TestNobodyIsExposedByARecovery(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		f := sim.New(t, wide)
		defer f.Close()
		v := sealedForEu(t, f)
		fra, ams := f.Members[0], f.Members[3]
		before := keyOfReaders(t, fra)
		lost := survives(t, f, fra, ams)
		shut := []epoch.Shut{{}}
		if _, err := agent.Recover(agent.RecoverOptions{DataDir: fra.Dir(), Survivors: []epoch.Statement{statement(t, ams)}, Fenced: lost, Version: "sim",
			Agree: func(all []epoch.Shut) error { shut = all; return nil }}); err != nil || len(shut) > 0 {
			t.Fatalf("it is told %v: %v", shut, err)
		}
		fra.Start()
		write(t, fra, "after", 1)
		time.Sleep(2 * time.Minute)
		v.open(fra, "ams", 0)
		fresh, err := returns(t, f, fra, ams, withKey(ams))
		if err != nil {
			t.Fatal(err)
		}
		fresh.Start()
		f.Await("ams has signed its recipient", time.Minute, func() bool { return clusterAt(t, fra, "ams").Status.RecipientSignature != nil })
		time.Sleep(2 * time.Minute)
		if now := keyOfReaders(t, fra); !reflect.DeepEqual(before.Status, now.Status) {
			t.Errorf("the group's key was %+v, and is %+v", before.Status, now.Status)
		}
		l, err := fra.Core.Ledger(fra.Core.Store().View())
		if err != nil {
			t.Fatal(err)
		}
		if all := l.Exposed("").Items; len(all) > 0 {
			t.Errorf("the ledger has %+v", all)
		}
		v.nothingIsLost(fra, fra, fresh)
	})
}

// TestARestoredFleetReadsWithTheKeysThatAreLeft: each that is brought opens what it could; without any, what was sealed is lost, and that is said.
func TestARestoredFleetReadsWithTheKeysThatAreLeft(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		f := sim.New(t, wide)
		defer f.Close()
		v := sealedForEu(t, f)
		fra, ams := f.Members[0], f.Members[3]
		before := keyOfReaders(t, fra)
		key, err := age.GenerateX25519Identity()
		if err != nil {
			t.Fatal(err)
		}
		var file bytes.Buffer
		if _, err := backup.Write(&file, []age.Recipient{key.Recipient()}, backup.Header{Fleet: "sim", Member: "fra"}, fra.Core.Store().Snapshot()); err != nil {
			t.Fatal(err)
		}
		for _, m := range f.Members {
			m.Kill()
		}
		restore := func(m *sim.Member, fleet string, former agent.Former, lost ...string) (shut []epoch.Shut) {
			t.Helper()
			if _, _, err := agent.Restore(agent.RestoreOptions{
				DataDir: m.Dir(), Fleet: fleet, Cluster: "fra", Addresses: m.Addresses(), Backup: bytes.NewReader(file.Bytes()), Identities: []age.Identity{key}, Version: "sim",
				Former: former, Lost: lost, Agree: func(all []epoch.Shut) error { shut = all; return nil },
			}); err != nil {
				t.Fatal(err)
			}
			return shut
		}
		if shut := restore(f.Candidate("fra", "eu"), "other", agent.Former{}); len(shut) != 1 || !shut[0].Lost() {
			t.Errorf("under another name it is told %+v", shut)
		}
		if shut := restore(f.Candidate("fra", "eu"), "sim", agent.Former{}); len(shut) != 1 || !slices.Equal(shut[0].By, []string{"ams"}) || !shut[0].Own {
			t.Errorf("without fra's key it is told %+v", shut)
		}
		if shut := restore(f.Candidate("fra", "eu"), "sim", agent.Former{}, "ams"); len(shut) != 1 || !shut[0].Lost() {
			t.Errorf("without fra's key, and with ams lost, it is told %+v", shut)
		}
		first := f.Candidate("fra", "eu")
		if shut := restore(first, "sim", agent.Former{DataDir: fra.Dir()}); len(shut) > 0 {
			t.Errorf("with fra's key it is told %+v", shut)
		}
		first.Start()
		write(t, first, "after", 1)
		v.nothingIsLost(first, first)
		fresh, err := returns(t, f, first, ams, withKey(ams))
		if err != nil {
			t.Fatal(err)
		}
		fresh.Start()
		time.Sleep(2 * time.Minute)
		if now := keyOfReaders(t, first); !reflect.DeepEqual(before.Status, now.Status) {
			t.Errorf("the group's key was %+v, and is %+v", before.Status, now.Status)
		}
		v.open(first, "fra", 0)
		v.open(first, "ams", 0)
		v.nothingIsLost(first, first, fresh)

		// Another one whose disk is gone has another key now, which opens its line.
		fresh.Kill()
		time.Sleep(15 * time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		token, err := first.Core.CreateToken(ctx, law.Terms{Cluster: "ams", Replace: true})
		if err != nil {
			t.Fatal(err)
		}
		third := f.Candidate("ams", "eu")
		if err := third.Enrol(ctx, token); err != nil {
			t.Fatal(err)
		}
		v.open(first, "ams", 1)
	})
}
