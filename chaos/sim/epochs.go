package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"filippo.io/age"

	"github.com/hanse-fleet/hanse/agent"
	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/backup"
	"github.com/hanse-fleet/hanse/epoch"
	"github.com/hanse-fleet/hanse/internal/fault"
	"github.com/hanse-fleet/hanse/internal/pause"
	"github.com/hanse-fleet/hanse/law"
)

// What happens to the whole fleet: its majority is lost, or all of it, and one member begins a new epoch. The tools that
// do it work on files, so a disk of the model is saved to files before, and loaded from them after.

// recovery loses the disks of a majority for good, and lets the most advanced of who is left go on.
func (p *player) recovery(e Event) {
	survivors := p.ableToSurvive()
	if len(survivors) == 0 || p.succeeded.Swap(true) {
		return
	}
	all, release := p.seize()
	defer release()
	p.crashAll(slices.DeleteFunc(slices.Clone(all), func(a *actor) bool { return slices.Contains(survivors, a) }))
	p.during(e)
	survivors = slices.DeleteFunc(survivors, func(a *actor) bool { return !a.Running() || a.crashed.Load() })
	var seen uint64
	for _, a := range survivors {
		p.halt(a)
		seen = max(seen, p.stands(a))
	}
	heir, begun, err := p.recoverOn(survivors)
	if err != nil {
		p.wrong("epoch", "recover: %v", err)
	}
	if heir == nil { // the majority was not lost after all, or nobody is left: those who stopped go on
		for _, a := range all {
			if !a.gone.Load() && !a.lost.Load() {
				p.start(a)
			}
		}
		return
	}
	p.begins(begun, seen, all, heir)
}

// ableToSurvive draws a minority of the voters, and perhaps one who stands by.
func (p *player) ableToSurvive() (few []*actor) {
	l := p.leader()
	if l == nil {
		return nil
	}
	core := l.Live()
	if core == nil {
		return nil
	}
	voters := core.Node().Status().Voters
	var others []*actor
	left := (len(voters) - 1) / 2
	for _, a := range p.living() {
		id, runs := p.idOf(a)
		switch votes := slices.Contains(voters, id); {
		case !runs || a.never:
		case votes && left > 0 && p.draw(len(voters)) < len(voters)-1:
			few, left = append(few, a), left-1
		case !votes:
			others = append(others, a)
		}
	}
	if len(few) > 0 && len(others) > 0 && p.draw(2) == 0 {
		few = append(few, others[p.draw(len(others))])
	}
	return few
}

// seize holds the life of everybody, so that nobody else starts or stops them.
func (p *player) seize() (all []*actor, release func()) {
	all = p.all()
	for _, a := range all {
		a.life.Lock()
	}
	return all, func() {
		for _, a := range all {
			a.life.Unlock()
		}
	}
}

// crashAll takes the power of all at one moment, and their lives are the caller's.
func (p *player) crashAll(all []*actor) {
	for _, a := range all {
		a.Isolate()
	}
	for _, a := range all {
		if a.Running() {
			p.crash(a)
		}
		a.Rejoin()
	}
}

// recoverOn makes the statements of the survivors and recovers on the most advanced. heir is nil when that must not be.
func (p *player) recoverOn(survivors []*actor) (heir *actor, e epoch.Beginning, err error) {
	if len(survivors) == 0 {
		return nil, e, nil
	}
	said := map[*actor]epoch.Statement{}
	for _, a := range survivors {
		if err := a.disk.Save(filepath.Join(a.dir, "raft")); err != nil {
			return nil, e, err
		}
		defer os.RemoveAll(filepath.Join(a.dir, "raft"))
		if said[a], err = agent.Survey(a.dir, nil); err != nil {
			return nil, e, err
		}
	}
	heir = slices.MaxFunc(survivors, func(a, b *actor) int {
		return slices.Compare([]uint64{said[a].LastTerm, said[a].LastIndex}, []uint64{said[b].LastTerm, said[b].LastIndex})
	})
	o := agent.RecoverOptions{DataDir: heir.dir, Version: "sim", Faults: p.faults()}
	for a, s := range said {
		if a != heir {
			o.Survivors = append(o.Survivors, s)
		}
	}
	o.Fenced = epoch.Recovery{Mine: said[heir], Survivors: o.Survivors}.Lost()
	e, err = agent.Recover(o)
	if err != nil && strings.Contains(err.Error(), "majority is not lost") {
		return nil, e, nil
	}
	if err == nil {
		err = p.onNewFiles(heir)
	}
	return heir, e, err
}

// onNewFiles loads what a tool has made of a member's files, and what it kept of the old ones is thrown away.
func (p *player) onNewFiles(a *actor) error {
	raft := filepath.Join(a.dir, "raft")
	if err := a.disk.Load(raft); err != nil {
		return err
	}
	kept, err := filepath.Glob(raft + ".*")
	for _, dir := range append(kept, raft) {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	return err
}

// restoration makes a backup, loses all of the fleet a while after it, and restores the backup on new disks.
func (p *player) restoration(e Event) {
	core := p.someone(nil)
	if core == nil || core.Store().View().Revision() == 0 || p.succeeded.Swap(true) {
		return
	}
	key, err := age.GenerateX25519Identity()
	if err != nil {
		p.wrong("epoch", "%v", err)
		return
	}
	var file bytes.Buffer
	from := core.Store().Snapshot()
	if _, err := backup.Write(&file, []age.Recipient{key.Recipient()}, backup.Header{Fleet: "sim"}, from); err != nil {
		p.wrong("epoch", "backup: %v", err)
		return
	}
	p.during(e)
	all, release := p.seize()
	defer release()
	p.crashAll(all)
	i := slices.IndexFunc(all, func(a *actor) bool {
		_, known := from.View().Get(v1alpha1.KeyClusters + a.Name)
		return known && !a.never
	})
	heir := p.cast(Site{Name: all[i].Name, Region: all[i].Region})
	heir.life.Lock()
	defer heir.life.Unlock()
	_, begun, err := agent.Restore(agent.RestoreOptions{
		DataDir: heir.dir, Fleet: "sim", Cluster: heir.Name, Addresses: heir.addresses(), Backup: &file, Identities: []age.Identity{key}, Version: "sim", Faults: p.faults(),
	})
	if err == nil {
		err = p.onNewFiles(heir)
	}
	if err != nil {
		p.wrong("epoch", "restore: %v", err)
		return
	}
	p.begins(begun, uint64(from.View().Revision()), all, heir)
}

func (p *player) faults() fault.Set {
	if p.bug == nil {
		return fault.Set{}
	}
	return p.bug.Faults
}

// begins starts the first member of a new epoch, and lets all others join again. Its state must have all that the old
// epoch had at a revision.
func (p *player) begins(e epoch.Beginning, from uint64, all []*actor, heir *actor) {
	for _, a := range all {
		if a != heir && a.begun.Load() {
			a.gone.Store(true)
		}
	}
	heir.servers = ""
	p.audit.forget()
	p.forgetTerms()
	p.mu.Lock()
	old := p.log.Epoch()
	p.log.Begins(uint64(e.Epoch.Began))
	p.waiting = e.Waiting
	p.mu.Unlock()
	if !p.start(heir) {
		return
	}
	state := map[string]string{}
	for _, kv := range heir.Core.Store().View().List(v1alpha1.KeyUsers) {
		state[kv.Key] = digest(kv.Value)
	}
	p.mu.Lock()
	lacks := p.log.Lacks(old, from, state)
	p.mu.Unlock()
	lacks = slices.DeleteFunc(lacks, func(key string) bool { return !strings.HasPrefix(key, v1alpha1.KeyUsers) })
	if len(lacks) > 0 {
		p.wrong("epoch", "%s goes on from revision %d, and lacks %s", heir.Name, from, strings.Join(lacks, " "))
	}
	p.gathering.Go(func() { p.regather(20*time.Second, false) })
}

// regather gives a person's go, and lets the clusters that wait for it join again, each as a new incarnation. Those that
// cannot in time wait on.
func (p *player) regather(within time.Duration, replace bool) {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	for core := p.someone(nil); ctx.Err() == nil && (core == nil || core.Resume(ctx) != nil); core = p.someone(nil) {
		pause.For(ctx, time.Second)
	}
	p.mu.Lock()
	names := p.waiting
	p.waiting = nil
	p.mu.Unlock()
	for _, name := range names {
		if p.comesBack(p.actor(name), replace, within) != nil {
			p.mu.Lock()
			p.waiting = append(p.waiting, name)
			p.mu.Unlock()
		}
	}
}

// comesBack lets a cluster that the fleet has on record join as a new incarnation, in the place of one whose disk is lost,
// or where there is none. When it cannot in time, the error says at what it was stopped last.
func (p *player) comesBack(old *actor, replace bool, within time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	token, last := "", errors.New("nobody runs")
	for token == "" && ctx.Err() == nil {
		if core := p.someone(old); core != nil {
			one, done := context.WithTimeout(ctx, 5*time.Second)
			token, last = core.CreateToken(one, law.Terms{Cluster: old.Name, Replace: replace}) // tried again
			done()
		}
		pause.For(ctx, 200*time.Millisecond)
	}
	if token == "" {
		return fmt.Errorf("no token: %w", last)
	}
	fresh := p.cast(Site{Name: old.Name, Region: old.Region, Never: old.never})
	fresh.life.Lock()
	defer fresh.life.Unlock()
	for ctx.Err() == nil {
		one, done := context.WithTimeout(ctx, 10*time.Second)
		last = fresh.Enrol(one, token)
		done()
		if last == nil {
			old.gone.Store(true)
			if !p.start(fresh) {
				return errors.New("its new incarnation does not start")
			}
			return nil
		}
		pause.For(ctx, time.Second)
	}
	fresh.gone.Store(true)
	return fmt.Errorf("no place: %w", last)
}
