package sim_test

import (
	"encoding/json"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/agent"
	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/chaos/sim"
	"github.com/hanse-fleet/hanse/internal/virtual"
	"github.com/hanse-fleet/hanse/secrets"
)

// keyAge is what a key of the group readers may come to here.
const keyAge = 2 * time.Hour

// years are the clocks of all members, which go on by as much as they are told to, all at once.
type years struct{ ahead atomic.Int64 }

func (y *years) now() time.Time { return time.Now().Add(time.Duration(y.ahead.Load())) }

// until goes on to a time.
func (y *years) until(t time.Time) { y.ahead.Add(int64(t.Sub(y.now()))) }

// aging is a fleet as rotating makes it, whose clocks can go on, with a plot behind its law.
func aging(t *testing.T, f *sim.Fleet) (y *years, p *plot, v *vault, stolen secrets.Identity) {
	y, p = &years{}, plotIn(f)
	plots := f.Tune
	f.Tune = func(m *sim.Member, c *agent.CoreConfig) {
		plots(m, c)
		c.Seams.Clock = y.now
	}
	v, stolen = rotating(t, f, 5)
	amend(t, f.Members[1], readersKey, func(g *v1alpha1.RecipientGroup) { g.Spec.RotateAfter = &metav1.Duration{Duration: keyAge} })
	return y, p, v, stolen
}

var ofAge = trial{step: "its key is of age"}

// Nobody asks, and nobody leaves: time alone makes the group another key, once an age, and all that is sealed is sealed to it.
func TestAKeyIsReplacedAtItsAge(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		f := sim.New(t, wide)
		defer f.Close()
		y, p, v, stolen := aging(t, f)
		fra, iad, ams, mad := f.Members[0], f.Members[1], f.Members[2], f.Members[4]
		stays := func(epoch int64) {
			t.Helper()
			v.wait(3*time.Minute, func() bool { return false })
			if g := keyOfReaders(t, iad).Status; g.Epoch != epoch || p.keys() != int(epoch)-1 {
				t.Fatalf("the key %d is not of age, and the present one is the %d; %d were made", epoch, g.Epoch, p.keys())
			}
		}
		for epoch := int64(3); epoch < 6; epoch++ {
			due := keyOfReaders(t, iad).Status.Begun.Add(keyAge)
			y.until(due.Add(-4 * time.Minute))
			stays(epoch - 1)
			y.until(due)
			v.until(ofAge, "all is sealed to another one", func() bool { return v.kept(iad, epoch) && caughtUp(iad, fra, ams, mad) })
			if began := keyOfReaders(t, iad).Status.Begun; began.Time.Before(due) {
				t.Errorf("the key %d was made at %s, and the one before is of age at %s", epoch, began, due)
			}
			stays(epoch)
			v.nothingOfBefore(iad)
			v.nothingIsLost(iad, fra, ams, mad)
		}
		v.nobodyElseOpens(iad, stolen)
	})
}

// Who leads is cut off, or killed, around the moment at which the key comes of age: the next leader, whose clock and whose log it is then, makes no
// second one.
func TestALeaderThatChangesAsAKeyComesOfAgeMakesNoSecondOne(t *testing.T) {
	long(t)
	virtual.Test(t, func(t *testing.T) {
		rng := random(t)
		f := sim.New(t, wide)
		defer f.Close()
		y, p, v, stolen := aging(t, f)
		all := []*sim.Member{f.Members[0], f.Members[1], f.Members[2], f.Members[4]}
		for epoch := int64(3); epoch < 11; epoch++ {
			due := keyOfReaders(t, all[1]).Status.Begun.Add(keyAge)
			if epoch%2 == 0 { // right as the key is in the log of the first that applies it
				p.dethrone()
				y.until(due)
				v.until(ofAge, "the leader is cut off", func() bool { return p.caught() != nil })
			} else { // a moment before that, or after
				v.until(ofAge, "somebody leads", func() bool { return f.Leader() != nil })
				y.until(due.Add(-time.Duration(rng.IntN(2000)) * time.Millisecond))
				v.wait(time.Duration(rng.IntN(2500))*time.Millisecond, func() bool { return false })
				p.leave(f.Leader())
			}
			gone := p.caught()
			if rng.IntN(2) == 0 {
				gone.Kill()
			}
			other := all[0]
			if other == gone {
				other = all[1]
			}
			v.until(ofAge, "all is sealed to another one", func() bool { return v.kept(other, epoch) })
			if gone.Running() {
				gone.Rejoin()
			} else {
				gone.Start()
			}
			v.until(ofAge, "all know", func() bool { return v.kept(other, epoch) && caughtUp(other, all...) })
			v.wait(3*time.Minute, func() bool { return false }) // whoever thought that it was to make one has come to it
			if now := keyOfReaders(t, other).Status.Epoch; now != epoch || p.keys() != int(epoch)-1 {
				t.Fatalf("%s went as the key %d came of age: now it is %d, and %d were made", gone.Name, epoch-1, now, p.keys())
			}
			v.nothingOfBefore(other)
			v.nothingIsLost(other, all[0], all[2], all[3])
		}
		v.nobodyElseOpens(all[1], stolen)
	})
}

// nothingOfBefore checks that a key was confirmed: its group has wraps of it alone, and no secret is left that is sealed to one before it.
func (v *vault) nothingOfBefore(m *sim.Member) {
	v.Helper()
	s := m.Core.Store().View()
	g := keyOfReaders(v.T, m)
	for _, w := range g.Status.Wraps {
		if w.Epoch != g.Status.Epoch {
			v.Errorf("there is a wrap of the key %d for %q, and the present one is %d", w.Epoch, w.Cluster, g.Status.Epoch)
		}
	}
	for kv := range s.Iterate(v1alpha1.KeySealings, "") {
		var r v1alpha1.Sealing
		if err := json.Unmarshal(kv.Value, &r); err != nil {
			v.Fatal(err)
		}
		if r.Epoch != g.Status.Epoch || r.Was != nil || r.Confirmed == "" {
			v.Errorf("%s is sealed to the key %d, confirmed by %q; what was before: %v", strings.TrimPrefix(kv.Key, v1alpha1.KeySealings), r.Epoch, r.Confirmed, r.Was != nil)
		}
	}
}

// keys is how many keys were made in the place of others.
func (p *plot) keys() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen[stepKey]
}

// dethrone has the leader cut off as soon as the next key is applied.
func (p *plot) dethrone() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waits, p.victim, p.leads = trial{step: stepKey}, nil, true
}

// leave cuts a member off now.
func (p *plot) leave(m *sim.Member) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waits, p.victim = trial{}, m
	m.Isolate()
}
