package sim

import (
	"context"
	"slices"
	"time"
)

// truthTold is how long a write may take while a region is away that can be lost: an election, and what follows.
const truthTold = 15 * time.Second

// noticed is how long a death may take to show in the status: some heartbeats.
const noticed = 4 * time.Second

// truth holds the fleet to its status: a region that can be lost right now is cut off, and writes must go on. "leader" is
// the region that leads. It judges only what was promised, so little else should happen meanwhile.
func (p *player) truth(e Event) {
	l := p.leader()
	if l == nil {
		return
	}
	core, region := l.Live(), e.Whom
	if region == "leader" {
		region = l.Region
	}
	if core == nil || !slices.Contains(core.Status().RegionsYouCanLose, region) {
		return
	}
	defer p.parted(region)()
	for begun := time.Now(); time.Since(begun) < e.For; time.Sleep(time.Second) {
		if took, err := p.writeWithout(region); err != nil {
			p.wrong("status", "%s could be lost, by the word of %s, and a write failed after %s: %v%s", region, l.Name, took.Round(time.Second), err, p.standing())
			return
		}
	}
}

// writeWithout makes a write at a member outside of a region.
func (p *player) writeWithout(region string) (took time.Duration, err error) {
	for _, a := range p.living() {
		core := a.Live()
		if a.Region == region || a.never || core == nil {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), truthTold)
		defer cancel()
		begun := time.Now()
		_, err := putUser(ctx, core, "truth", region)
		return time.Since(begun), err
	}
	return 0, nil
}

// losses holds a quiet fleet to its status: of the regions that can be lost one dies, perhaps, and after a while each that
// still can be is cut off in turn.
func (p *player) losses() {
	if can := p.canLose(); len(can) > 0 && p.draw(2) == 0 {
		var dead []*actor
		dies := can[p.draw(len(can))]
		for _, a := range p.living() {
			if a.Region == dies {
				dead = append(dead, a)
			}
		}
		for _, a := range dead {
			a.life.Lock()
			if a.Running() {
				p.crash(a)
			}
			a.life.Unlock()
		}
		time.Sleep(noticed + time.Duration(p.draw(30))*time.Second)
		defer func() {
			for _, a := range dead {
				p.revive(a)
			}
		}()
	}
	for _, region := range p.canLose() {
		p.truth(Event{Whom: region, For: 12 * time.Second})
		time.Sleep(5 * time.Second)
	}
}

// canLose is what the leader's status says.
func (p *player) canLose() []string {
	if l := p.leader(); l != nil {
		if core := l.Live(); core != nil {
			return core.Status().RegionsYouCanLose
		}
	}
	return nil
}
