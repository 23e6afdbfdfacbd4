package sim

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hanse-fleet/hanse/consensus/consensustest"
)

// happenings are what an Event may be. Each does its thing, waits until it is over, and undoes it. It runs beside the
// others, so whoever starts or stops a member holds its life.
var happenings map[string]func(p *player, e Event)

func init() {
	happenings = map[string]func(p *player, e Event){
		// the network
		"isolate": whom(func(p *player, a *actor, e Event) { a.Isolate(); p.during(e); a.Rejoin() }),
		"cut":     (*player).cut,
		"hold": whom(func(p *player, a *actor, e Event) {
			p.fleet.Net.Hold(a.Host())
			p.during(e)
			p.fleet.Net.Release(a.Host())
		}),
		"region":     (*player).cutRegion,
		"loss":       weather(func(w *Weather, x float64) { w.Loss = x / 5 }),
		"late":       weather(func(w *Weather, x float64) { w.Late = x }),
		"duplicates": weather(func(w *Weather, x float64) { w.Duplicates = x / 2 }),
		"jitter":     weather(func(w *Weather, x float64) { w.Jitter = time.Duration(x * float64(100*time.Millisecond)) }),
		"lag":        whom((*player).lag),
		"truth":      (*player).truth,
		// members
		"pause":       whom((*player).pause),
		"clock":       whom((*player).jump),
		"flood":       whom((*player).flood),
		"kill":        whom(func(p *player, a *actor, e Event) { p.kill(e, a) }),
		"restart":     whom((*player).restart),
		"region-dies": func(p *player, e Event) { p.kill(e, p.inRegion(e.Whom)...) },
		"all-die":     func(p *player, e Event) { p.kill(e, p.all()...) },
		"transfer":    func(p *player, _ Event) { p.transfer() },
		"join":        (*player).join,
		"remove":      whom((*player).remove),
		"forge":       whom((*player).forge),
		"herald":      whom((*player).herald),
		// disks
		"slow":      whom((*player).slow),
		"stall":     whom(func(p *player, a *actor, e Event) { a.disk.Stall(); p.during(e); a.disk.Release() }),
		"eio":       whom(func(p *player, a *actor, e Event) { p.failDisk(a, e, syscall.EIO) }),
		"full":      whom(func(p *player, a *actor, e Event) { p.failDisk(a, e, syscall.ENOSPC) }),
		"lose-disk": whom(func(p *player, a *actor, e Event) { p.loseDisk(a, e) }),
		"replace":   whom((*player).replace),
		"lie":       whom((*player).lie),
		// the whole fleet
		"recover": (*player).recovery,
		"restore": (*player).restoration,
	}
}

// whom is for what happens to one member. To one that is not there nothing happens.
func whom(f func(*player, *actor, Event)) func(*player, Event) {
	return func(p *player, e Event) {
		a := p.actor(e.Whom)
		if e.Whom == "leader" {
			a = p.leader()
		}
		if a != nil && !a.gone.Load() && !a.lost.Load() {
			f(p, a, e)
		}
	}
}

// weather draws how strong it is.
func weather(set func(w *Weather, strength float64)) func(*player, Event) {
	return func(p *player, e Event) {
		p.mu.Lock()
		x := p.rng.Float64()
		p.mu.Unlock()
		p.fleet.Net.Change(func(w *Weather) { set(w, x) })
		p.during(e)
		p.fleet.Net.Change(func(w *Weather) { set(w, 0) })
	}
}

// happen lets everything happen, and returns when all is undone.
func (p *player) happen() {
	var work sync.WaitGroup
	begun := time.Now()
	for _, e := range p.s.Events {
		time.Sleep(time.Until(begun.Add(e.At)))
		work.Go(func() { happenings[e.What](p, e) })
	}
	time.Sleep(time.Until(begun.Add(p.s.Length)))
	close(p.ending)
	work.Wait()
}

// during waits as long as an event lasts, or until the run comes to its end.
func (p *player) during(e Event) {
	t := time.NewTimer(e.For)
	defer t.Stop()
	select {
	case <-t.C:
	case <-p.ending:
	}
}

// cut is in one direction, a>b.
func (p *player) cut(e Event) {
	from, to, _ := strings.Cut(e.Whom, ">")
	a, b := p.actor(from), p.actor(to)
	if a == nil || b == nil || a == b {
		return
	}
	p.fleet.Net.Cut(a.Host(), b.Host())
	p.during(e)
	p.fleet.Net.Mend(a.Host(), b.Host())
}

// cutRegion parts a region from the others; inside of it they go on speaking.
func (p *player) cutRegion(e Event) {
	defer p.parted(e.Whom)()
	p.during(e)
}

// parted cuts a region off from who is there now, until it is undone.
func (p *player) parted(region string) (undo func()) {
	all := p.all()
	each := func(f func(from, to string)) {
		for _, a := range all {
			for _, b := range all {
				if a.Region == region && b.Region != region {
					f(a.Host(), b.Host())
					f(b.Host(), a.Host())
				}
			}
		}
	}
	each(p.fleet.Net.Cut)
	return func() { each(p.fleet.Net.Mend) }
}

func (p *player) inRegion(region string) (found []*actor) {
	for _, a := range p.all() {
		if a.Region == region {
			found = append(found, a)
		}
	}
	return found
}

// lag makes what goes to a member come late.
func (p *player) lag(a *actor, e Event) {
	set := func(d time.Duration) {
		p.fleet.Net.Change(func(w *Weather) {
			if w.Lag == nil {
				w.Lag = map[string]time.Duration{}
			}
			w.Lag[a.Host()] = d
		})
	}
	set(time.Duration(50+p.draw(200)) * time.Millisecond)
	p.during(e)
	set(0)
}

// pause is a process that is stopped and goes on, as far as virtual time can show it: its packets and its writes stand
// still. Its own timers do not; and where these are late, in a real pause, it may believe a little longer that it leads.
func (p *player) pause(a *actor, e Event) {
	p.fleet.Net.Hold(a.Host())
	a.disk.Stall()
	p.during(e)
	a.disk.Release()
	p.fleet.Net.Release(a.Host())
}

// jump sets a member's wall clock wrong, by seconds or by years, forward or back.
func (p *player) jump(a *actor, e Event) {
	by := []time.Duration{3 * time.Second, time.Minute, 3 * time.Hour, 10_000 * time.Hour}[p.draw(4)]
	if p.draw(2) == 0 {
		by = -by
	}
	a.skew.Store(int64(by))
	p.during(e)
	a.skew.Store(0)
}

// clock is the member's wall clock.
func (a *actor) clock() time.Time { return time.Now().Add(time.Duration(a.skew.Load())) }

// kill takes the power of members, all at once, and gives it back.
func (p *player) kill(e Event, victims ...*actor) {
	var work sync.WaitGroup
	for _, a := range victims {
		work.Go(func() {
			a.life.Lock()
			defer a.life.Unlock()
			if a.Running() {
				p.crash(a)
				p.during(e)
				p.start(a)
			}
		})
	}
	work.Wait()
}

// restart stops a member in order. It knows then what it knew.
func (p *player) restart(a *actor, e Event) {
	a.life.Lock()
	defer a.life.Unlock()
	if !a.Running() {
		return
	}
	core := a.Core
	p.halt(a)
	if a.gone.Load() {
		return
	}
	if !a.crashed.Load() {
		a.servers = servers(core)
	}
	p.during(e)
	p.start(a)
}

// transfer lets whoever leads hand on.
func (p *player) transfer() {
	l := p.leader()
	if l == nil {
		return
	}
	if core := l.Live(); core != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		core.Node().Transfer(ctx) // it may fail, and does while the others are away
	}
}

// join lets another cluster in.
func (p *player) join(e Event) {
	for _, site := range late {
		if site.Name == e.Whom && p.actor(site.Name) == nil {
			p.enlist(site)
		}
	}
}

func (p *player) slow(a *actor, e Event) {
	a.disk.Slow(time.Duration(5+p.draw(300)) * time.Millisecond)
	p.during(e)
	a.disk.Slow(0)
}

// failDisk makes a disk fail after some more writes. The member must end, and is started again when the disk works.
func (p *player) failDisk(a *actor, e Event, err error) {
	a.failing.Store(true)
	a.disk.FailAt(1+p.draw(5), err)
	p.during(e)
	a.disk.FailAt(0, nil)
	a.disk.Fail(nil)
	time.Sleep(2 * time.Second) // one that has just failed ends meanwhile
	a.life.Lock()
	defer a.life.Unlock()
	if a.crashed.Load() && !a.Running() && !a.gone.Load() {
		p.start(a)
	}
	a.failing.Store(false)
}

// loseDisk takes a member's log. It must not start as who it was: it would vote again where it had voted.
func (p *player) loseDisk(a *actor, e Event) (lost bool) {
	a.life.Lock()
	defer a.life.Unlock()
	if !a.Running() || !p.canSpare(a) || p.lostOne.Swap(true) {
		return false // with two lost, a majority may be: that is for `hanse recover`
	}
	p.crash(a)
	a.disk = consensustest.NewDisk(rand.New(rand.NewPCG(p.s.Seed, 3)))
	p.during(e)
	a.crashed.Store(false)
	if err := a.TryStart(); err == nil {
		p.wrong("old incarnation", "%s has lost its log, and starts as who it was", a.Name)
		return false
	}
	a.lost.Store(true)
	return true
}

// lie lets a member's disk say that it has written before it has, until its power fails. The member comes back with what was
// kept, or finds that something is missing, does not start, and is replaced.
func (p *player) lie(a *actor, e Event) {
	disk := a.disk
	a.lied.Store(true)
	disk.Lie(true)
	p.during(e)
	a.life.Lock()
	defer a.life.Unlock()
	if a.Running() {
		p.crash(a)
		defer p.start(a)
	}
	disk.Lie(false)
}

// replace takes a member's log, and lets another incarnation take its place.
func (p *player) replace(a *actor, e Event) {
	if p.loseDisk(a, e) {
		_ = p.comesBack(a, true, time.Minute) // when it cannot be now, it can in the end
	}
}

// eligible says how many members may vote, are not lost, and are to stay.
func (p *player) eligible() (n int) {
	for _, a := range p.all() {
		if !a.never && !a.gone.Load() && !a.lost.Load() && !a.retiring.Load() {
			n++
		}
	}
	return n
}
