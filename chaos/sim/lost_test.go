package sim_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/chaos/sim"
	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/internal/virtual"
	"github.com/hanse-fleet/hanse/law"
)

func TestTheOnlyVoterIsNotRemoved(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		f := sim.New(t, wide)
		defer f.Close()
		fra := f.Found("fra", "eu")
		iad := f.Join("iad", "us")
		f.Await("the leader has told who votes", time.Minute, func() bool { return iad.VotersTold() == 1 })
		v := iad.Core.Store().View()
		key := v1alpha1.KeyClusters + fra.Name
		kv, _ := v.Get(key)
		if _, ops, err := law.Companions(v, law.Change{Key: key, Before: kv.Value, At: time.Now()}); err == nil {
			t.Errorf("removing it would be allowed, by %d writes", len(ops))
		}
		remove(t, fra, "iad") // which does not vote
		write(t, fra, "after", 1)
	})
}

func TestAFounderWhoseLogIsLostDoesNotFoundTheFleetAgain(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		f := sim.New(t, wide)
		defer f.Close()
		five(f)
		fra := f.Members[0]
		write(t, fra, "before", 1)
		if err := fra.Stop(); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(filepath.Join(fra.Dir(), "raft")); err != nil {
			t.Fatal(err)
		}
		if err := fra.TryStart(); err == nil || !strings.Contains(err.Error(), "hanse token create --cluster fra --replace") {
			t.Errorf("started with: %v", err)
		}
		write(t, f.Members[1], "after", 2)
	})
}

func TestAMemberWhoseLogIsDamagedServesNothingOfIt(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		f := sim.New(t, wide)
		defer f.Close()
		five(f)
		fra := f.Members[0]
		write(t, fra, "before", 1)
		if err := fra.Stop(); err != nil {
			t.Fatal(err)
		}
		log := filepath.Join(fra.Dir(), "raft", "log.bolt")
		content, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		at := bytes.LastIndex(content, []byte("/users/before")) // in an entry, or in a page that was free again
		content[at] ^= 1
		if err := os.WriteFile(log, content, 0o600); err != nil {
			t.Fatal(err)
		}
		err = fra.TryStart()
		var damaged *consensus.DamagedError
		if !errors.As(err, &damaged) || !strings.Contains(err.Error(), "hanse token create --cluster fra --replace") {
			t.Errorf("started with: %v", err)
		}
		t.Log(err)
		write(t, f.Members[1], "after", 2)
	})
}

func TestAJoinThatIsRepeated(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		f := sim.New(t, wide)
		defer f.Close()
		five(f)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		token, err := f.Members[0].Core.CreateToken(ctx, law.Terms{})
		if err != nil {
			t.Fatal(err)
		}
		first := f.Candidate("gru", "sa")
		if err := first.Enrol(ctx, token); err != nil {
			t.Fatal(err)
		}
		// As if the answer had been lost: the directory does not know that it is in.
		if err := os.Remove(filepath.Join(first.Dir(), "member.json")); err != nil {
			t.Fatal(err)
		}
		if err := first.Enrol(ctx, token); err != nil {
			t.Errorf("the same again: %v", err)
		}
		other := f.Candidate("cpt", "af")
		if err := other.Enrol(ctx, token); err == nil || !strings.Contains(err.Error(), "token spent") {
			t.Errorf("another with the same token: %v", err)
		}
		remove(t, f.Members[1], "gru")
		if err := os.Remove(filepath.Join(first.Dir(), "member.json")); err != nil {
			t.Fatal(err)
		}
		if err := first.Enrol(ctx, token); err == nil || !strings.Contains(err.Error(), "removed") {
			t.Errorf("the same after it was removed: %v", err)
		}
	})
}
