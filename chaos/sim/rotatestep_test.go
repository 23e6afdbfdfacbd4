package sim_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/agent"
	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/chaos/sim"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/internal/virtual"
	"github.com/hanse-fleet/hanse/law"
	"github.com/hanse-fleet/hanse/plan"
	"github.com/hanse-fleet/hanse/secrets"
)

// The writes of which a rotation is made, as the log sees them.
const (
	stepKey     = "another key, with its wraps"
	stepProven  = "it opens"
	stepAgain   = "values are sealed again"
	stepConfirm = "what was sealed again is right"
	stepStrike  = "a wrap does not open"
	stepWrap    = "a wrap"
	stepSecond  = "a wrap once more"
)

// spoiled is a wrap that nobody opens.
var spoiled = []byte("spoiled")

// plot cuts the member off whose write is the step that it waits for: right before the step, which is not in the log then, or right after.
type plot struct {
	fleet *sim.Fleet

	mu sync.Mutex
	// verdicts of each write, the same for all members that apply it: whether the plot lets it in.
	verdicts map[[32]byte]bool
	// waits is for which step, that of none when it is over.
	waits  trial
	victim *sim.Member
	// leads says that the leader is cut off, and not the maker.
	leads bool
	seen  map[string]int
	// lame are clusters whose members get no write of a group's keys in, though they are there.
	lame []string
}

// plotIn stands behind the law in all members that a fleet gets.
func plotIn(f *sim.Fleet) *plot {
	p := &plot{fleet: f, verdicts: map[[32]byte]bool{}, seen: map[string]int{}}
	f.Tune = func(_ *sim.Member, c *agent.CoreConfig) {
		c.Seams.Authorizer = func(l law.Authority) store.Authorizer { return watched{l, p} }
	}
	return p
}

func (p *plot) wait(t trial) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waits, p.victim, p.leads = t, nil, false
}

func (p *plot) caught() *sim.Member {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.victim
}

// let says whether a write that the law allows is let in.
func (p *plot) let(step string, maker string, txn store.Txn) bool {
	text, err := json.Marshal(txn.Then)
	if err != nil {
		panic(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	id := idOf(text, maker)
	if let, known := p.verdicts[id]; known {
		return let
	}
	let := !slices.Contains(p.lame, maker)
	p.seen[step]++
	if p.waits.step == step && p.victim == nil {
		if p.waits.skip--; p.waits.skip < 0 {
			p.victim = p.whose(maker)
			p.victim.Isolate()
			let = !p.waits.before
		}
	}
	p.verdicts[id] = let
	return let
}

// whose member a step loses: its maker's, or the one that leads.
func (p *plot) whose(maker string) (lost *sim.Member) {
	for _, m := range p.fleet.Members {
		if core := m.Live(); p.leads && core != nil {
			if id, _, led := core.Node().Leader(); led && id == core.Node().Status().ID {
				return m
			}
		}
		if m.Name == maker {
			lost = m
		}
	}
	return lost
}

// idOf tells writes apart: two may write the same.
func idOf(text []byte, maker string) [32]byte { return sha256.Sum256(append(text, maker...)) }

// lames keeps the members of some clusters, and no others, from writing keys.
func (p *plot) lames(clusters ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lame = clusters
}

// watched is the law, and a plot behind it.
type watched struct {
	law.Authority
	plot *plot
}

// Authorize implements store.Authorizer.
func (w watched) Authorize(v *store.View, who store.Asker, txn store.Txn) error {
	step, maker := stepOf(v, who, txn)
	if spoils(txn) {
		return nil // a fault that the law cannot see
	}
	if err := w.Authority.Authorize(v, who, txn); err != nil || step == "" {
		return err
	}
	if !w.plot.let(step, maker, txn) {
		return errors.New("its maker is gone")
	}
	return nil
}

func spoils(txn store.Txn) bool {
	var g v1alpha1.RecipientGroup
	return len(txn.Then) > 0 && txn.Then[0].Key == readersKey && bytes.Contains(txn.Then[0].Value, []byte("wrap")) &&
		json.Unmarshal(txn.Then[0].Value, &g) == nil && len(g.Status.Wraps) > 0 && bytes.Equal(g.Status.Wraps[len(g.Status.Wraps)-1].Wrap, spoiled)
}

// stepOf is which step of a rotation a member's own write is, "" for none.
func stepOf(v *store.View, who store.Asker, txn store.Txn) (step, maker string) {
	if who.Person != "" || len(txn.Then) == 0 {
		return "", ""
	}
	m, _ := v.Member(who.Member)
	op := txn.Then[0]
	was, _ := v.Get(op.Key)
	switch {
	case op.Key == readersKey:
		var before, after v1alpha1.RecipientGroup
		if json.Unmarshal(was.Value, &before) != nil || json.Unmarshal(op.Value, &after) != nil {
			return "", ""
		}
		return stepOfGroup(&before.Status, &after.Status), m.Cluster
	case strings.HasPrefix(op.Key, v1alpha1.KeySealings):
		var before, after v1alpha1.Sealing
		if json.Unmarshal(op.Value, &after) != nil {
			return "", ""
		}
		if len(was.Value) > 0 && json.Unmarshal(was.Value, &before) == nil && before.Epoch == after.Epoch {
			return stepConfirm, m.Cluster
		}
		return stepAgain, m.Cluster
	}
	return "", ""
}

func stepOfGroup(before, after *v1alpha1.RecipientGroupStatus) string {
	switch {
	case before.Epoch == 0:
		return ""
	case before.Epoch < after.Epoch:
		return stepKey
	case before.Unproven() && !after.Unproven():
		return stepProven
	case len(before.Wraps) > len(after.Wraps):
		return stepStrike
	case len(before.Wraps) < len(after.Wraps):
		return stepWrap
	case !reflect.DeepEqual(before.Wraps, after.Wraps):
		return stepSecond
	}
	return ""
}

// rotating is a fleet with secrets of the group readers, which fra, ams and mad hold; cdg held it, and was stolen and removed.
func rotating(t *testing.T, f *sim.Fleet, sealed int) (v *vault, stolen secrets.Identity) {
	f.Found("fra", "eu")
	iad := f.Join("iad", "us")
	f.Join("ams", "eu")
	cdg, mad := f.Join("cdg", "eu"), f.Join("mad", "eu")
	f.Await("three members vote", time.Minute, func() bool { return f.Voters() == 3 })
	recovery, err := secrets.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	v = newVault(t, f, map[string]secrets.Identity{"who recovers": recovery, "fra": ownKey(t, f.Members[0]), "ams": ownKey(t, f.Members[2])})
	readers(t, iad, recovery)
	amend(t, iad, v1alpha1.KeyFleets+"sim", func(f *v1alpha1.Fleet) { // nothing is rolled out: it is about keys
		f.Spec.Rollout = &v1alpha1.FleetRollout{Freeze: &v1alpha1.Freeze{}}
	})
	f.Await("the group has its key", time.Minute, func() bool { return heldBy(t, iad, "ams", "cdg", "fra", "mad") })
	first := keyOfReaders(t, iad).Status.Recipient
	for i := range sealed {
		v.seal(iad, fmt.Sprintf("s%d", i), first, 1)
	}
	stolen = ownKey(t, cdg)
	f.Await("cdg and mad know", time.Minute, func() bool { return heldBy(t, mad, "ams", "cdg", "fra", "mad") })
	cdg.Kill()
	remove(t, iad, "cdg")
	f.Await("cdg's key is nobody's", 10*time.Minute, func() bool { return v.kept(iad, 2) })
	return v, stolen
}

// nobodyElseOpens checks that one who had the first key opens nothing that was sealed since.
func (v *vault) nobodyElseOpens(m *sim.Member, stolen secrets.Identity) {
	v.Helper()
	now := m.Core.Store().View()
	keys := append(values(reach(now, stolen)), stolen)
	for _, sealed := range sealedAfter(v.T, now, 1) {
		for _, key := range keys {
			if _, err := secrets.Open(key, targetOf(sealed.name), sealed.data); err == nil {
				v.Errorf("who was removed opens %s", sealed.name)
			}
		}
	}
}

// trial is one way to lose the maker of a write of a rotation.
type trial struct {
	step string
	// skip is how many writes of this step come before, before that the write is not in the log, and dies that the maker is killed, and not cut off.
	skip         int
	before, dies bool
}

func (t trial) String() string {
	when, how := "after", "cut off"
	if t.before {
		when = "before"
	}
	if t.dies {
		how = "killed"
	}
	return fmt.Sprintf("its maker is %s right %s: %s (the write %d of it)", how, when, t.step, t.skip+1)
}

// ofWraps says that no other key is needed for the step.
func (t trial) ofWraps() bool { return t.step == stepStrike || t.step == stepWrap }

// trials are each step, its maker killed right before and right after it; cut off, it may think for a while that it is done.
func trials() (all []trial) {
	for _, step := range []trial{{step: stepKey}, {step: stepProven}, {step: stepAgain}, {step: stepAgain, skip: 1}, {step: stepConfirm}, {step: stepConfirm, skip: 1}, {step: stepStrike}, {step: stepWrap}} {
		for how := range 4 {
			step.before, step.dies = how%2 == 0, how < 2
			if step.dies || step.skip == 0 && (step.step == stepKey || step.step == stepAgain) {
				all = append(all, step)
			}
		}
	}
	return all
}

// The maker of each write of a rotation is killed, or cut off, right before it and right after it, and the others go on without it.
func TestARotationIsFinishedWhicheverOfItsStepsItsMakerDiesAt(t *testing.T) {
	long(t)
	virtual.Test(t, func(t *testing.T) {
		f := sim.New(t, wide)
		defer f.Close()
		p := plotIn(f)
		v, stolen := rotating(t, f, 33) // one more than are sealed again at once
		fra, iad, ams, mad := f.Members[0], f.Members[1], f.Members[2], f.Members[4]
		for _, trial := range trials() {
			v.try(p, trial, iad, fra, ams, mad)
		}
		v.nothingIsLost(iad, fra, ams, mad)
		v.nobodyElseOpens(iad, stolen)
	})
}

// try loses the maker of a step, and waits until the others have done what is to be done, and then until all are there again and know that.
func (v *vault) try(p *plot, trial trial, through *sim.Member, holders ...*sim.Member) {
	v.Helper()
	epoch := keyOfReaders(v.T, through).Status.Epoch
	p.wait(trial)
	if trial.ofWraps() {
		spoil(v.T, through, "mad")
	} else {
		epoch++
		amend(v.T, through, readersKey, func(g *v1alpha1.RecipientGroup) { g.Spec.Rotate++ })
	}
	v.until(trial, "it comes to that", func() bool { return p.caught() != nil })
	victim := p.caught()
	if trial.dies {
		victim.Kill()
	}
	v.Logf("%s: %s", trial, victim.Name)
	if !trial.ofWraps() {
		v.until(trial, "the others go on", func() bool { return v.kept(through, epoch) })
	}
	if trial.dies {
		victim.Start()
	} else {
		victim.Rejoin()
	}
	v.until(trial, "all is as it should be", func() bool {
		return v.kept(through, epoch) && soundWraps(v.T, through, "ams", "fra", "mad") && caughtUp(through, holders...)
	})
}

// until looks at what there is until what is waited for is there.
func (v *vault) until(trial trial, what string, done func() bool) {
	v.Helper()
	never := func() bool { return false }
	for begun := time.Now(); !done(); v.wait(200*time.Millisecond, never) {
		if time.Since(begun) > 10*time.Minute {
			v.Fatalf("%s: after ten minutes it is not so that %s", trial, what)
		}
	}
	v.look()
}

// spoil puts a wrap that does not open in the place of a cluster's.
func spoil(t *testing.T, through *sim.Member, cluster string) {
	t.Helper()
	amend(t, through, readersKey, func(g *v1alpha1.RecipientGroup) {
		for i, w := range g.Status.Wraps {
			if w.Cluster == cluster {
				last := len(g.Status.Wraps) - 1
				g.Status.Wraps[i], g.Status.Wraps[last] = g.Status.Wraps[last], w
				g.Status.Wraps[last].Wrap = spoiled
				return
			}
		}
	})
}

// soundWraps says whether these clusters, and the person, have wraps, each one and none that is spoiled.
func soundWraps(t *testing.T, m *sim.Member, clusters ...string) bool {
	for _, w := range keyOfReaders(t, m).Status.Wraps {
		if bytes.Equal(w.Wrap, spoiled) {
			return false
		}
	}
	return heldBy(t, m, clusters...)
}

// caughtUp says whether members know what another one knows.
func caughtUp(with *sim.Member, all ...*sim.Member) bool {
	at := with.Core.Store().View().Revision()
	for _, m := range all {
		if m.Core.Store().View().Revision() < at {
			return false
		}
	}
	return true
}

// setOut counts the keys that members set out to make, whether they got in or not, by what they log of it.
type setOut struct {
	slog.Handler
	atomic.Int64
}

func setOutIn(f *sim.Fleet) *setOut {
	all := &setOut{Handler: slog.DiscardHandler}
	tune := f.Tune
	f.Tune = func(m *sim.Member, c *agent.CoreConfig) {
		tune(m, c)
		c.Logger = slog.New(all)
	}
	return all
}

// Enabled implements slog.Handler, as WithAttrs and WithGroup do.
func (t *setOut) Enabled(_ context.Context, level slog.Level) bool { return level == slog.LevelInfo }
func (t *setOut) WithAttrs([]slog.Attr) slog.Handler               { return t }
func (t *setOut) WithGroup(string) slog.Handler                    { return t }

// Handle implements slog.Handler.
func (t *setOut) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "a group gets another key" {
		t.Add(1)
	}
	return nil
}

// Each holder believes that it is always its turn.
func TestHoldersThatRaceMakeNoTwoKeysOfOneEpoch(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		f := sim.New(t, wide)
		defer f.Close()
		f.Seams.Alone = true
		p := plotIn(f)
		tries := setOutIn(f)
		v, stolen := rotating(t, f, 5)
		fra, iad, ams, mad := f.Members[0], f.Members[1], f.Members[2], f.Members[4]
		makers := map[string]bool{}
		for epoch := int64(3); epoch < 15; epoch++ {
			amend(t, iad, readersKey, func(g *v1alpha1.RecipientGroup) { g.Spec.Rotate++ })
			for begun := time.Now(); !v.kept(iad, epoch); v.wait(100*time.Millisecond, func() bool { return false }) {
				if time.Since(begun) > 10*time.Minute {
					t.Fatalf("key %d is not done in ten minutes", epoch)
				}
			}
			f.Await("all know", time.Minute, func() bool { return caughtUp(iad, fra, ams, mad) })
			v.look()
			makers[keyOfReaders(t, iad).Status.By] = true
		}
		if g := keyOfReaders(t, iad).Status; g.Epoch != 14 || p.seen[stepKey] != 13 {
			t.Errorf("there were %d keys, and the present one is %d", p.seen[stepKey], g.Epoch)
		}
		if tried := tries.Load(); tried < int64(2*p.seen[stepKey]) {
			t.Errorf("%d keys were made, and only %d tried to make one: there was no race", p.seen[stepKey], tried)
		}
		t.Logf("%d keys were made by %d members, of %d that were tried", p.seen[stepKey], len(makers), tries.Load())
		v.nothingIsLost(iad, fra, ams, mad)
		v.nobodyElseOpens(iad, stolen)
	})
}

// A member that holds the key and is heard, but does nothing: what would be its turn is another one's after a minute, step by step.
func TestAHolderThatDoesNothingHoldsUpNobodyForLong(t *testing.T) {
	virtual.Test(t, func(t *testing.T) {
		f := sim.New(t, wide)
		defer f.Close()
		p := plotIn(f)
		v, _ := rotating(t, f, 3)
		fra, iad, ams, mad := f.Members[0], f.Members[1], f.Members[2], f.Members[4]
		const lame = "ams" // the first by its name
		p.mu.Lock()
		p.lame = []string{lame}
		p.mu.Unlock()
		amend(t, iad, readersKey, func(g *v1alpha1.RecipientGroup) { g.Spec.Rotate++ })
		begun := time.Now()
		v.until(trial{step: lame + " does nothing"}, "all is sealed to another key", func() bool { return v.kept(iad, 3) })
		if took, by := time.Since(begun), keyOfReaders(t, iad).Status.By; took < plan.TurnPatience || by == lame {
			t.Errorf("it took %s, and %s made the key: %s was not waited for", took, by, lame)
		}
		v.nothingIsLost(iad, fra, ams, mad)
	})
}
