package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// How often a wait asks which clusters are away and how the rollouts stand, and how soon a broken watch is begun again.
const (
	askEvery = 500 * time.Millisecond
	retryIn  = 300 * time.Millisecond
)

// follow watches Works until the goals of p are reached or cannot be, or ctx ends. show is called on every change.
func (f *fleet) follow(ctx context.Context, p *progress, show func([]standing)) []standing {
	inner, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	updates := make(chan func(*progress))
	tell := func(update func(*progress)) error {
		select {
		case updates <- update:
			return nil
		case <-inner.Done():
			return inner.Err()
		}
	}
	listed := make(chan struct{})
	group.Go(func() { f.watchWorks(inner, sync.OnceFunc(func() { close(listed) }), tell) })
	group.Go(func() { f.watchReach(inner, tell) })
	group.Go(func() { f.watchRollouts(inner, p.goals, tell) })

	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	var all []standing
	for {
		select {
		case update := <-updates:
			update(p)
		case <-tick.C:
		case <-listed:
			listed = nil
		case <-ctx.Done():
			return p.look(time.Now())
		}
		if listed != nil {
			continue // what is not known yet is not gone
		}
		all = p.look(time.Now())
		show(all)
		if over(all, time.Now()) || p.superseded() != "" {
			return all
		}
	}
}

// watchWorks tells every change of a Work. A watch that breaks begins again with a list.
func (f *fleet) watchWorks(ctx context.Context, listed func(), tell func(func(*progress)) error) {
	path := mustKind("Work").path()
	for ctx.Err() == nil {
		var list v1alpha1.WorkList
		if _, err := f.read(ctx, request{path: path}, &list); err == nil {
			err = tell(func(p *progress) { p.replace(list.Items) })
			if err != nil {
				return
			}
			listed()
			// Whatever ends the watch, the next list repairs it; the wait itself is bounded by ctx.
			_ = f.events(ctx, request{path: path, query: url.Values{"resourceVersion": {list.ResourceVersion}}}, func(e event) error {
				return tellWork(e, tell)
			})
		}
		wait(ctx, retryIn)
	}
}

func tellWork(e event, tell func(func(*progress)) error) error {
	if e.Type == "BOOKMARK" {
		return nil
	}
	var w v1alpha1.Work
	if err := json.Unmarshal(e.Object, &w); err != nil {
		return fmt.Errorf("read work: %w", err)
	}
	return tell(func(p *progress) {
		if e.Type == "DELETED" {
			delete(p.works, placeOf(w))
			return
		}
		p.works[placeOf(w)] = w
	})
}

func placeOf(w v1alpha1.Work) place { return place{w.Spec.Bundle, w.Spec.Cluster} }

func (p *progress) replace(works []v1alpha1.Work) {
	clear(p.works)
	for _, w := range works {
		p.works[placeOf(w)] = w
	}
}

// watchReach tells, from time to time, which clusters the member does not reach.
func (f *fleet) watchReach(ctx context.Context, tell func(func(*progress)) error) {
	for ctx.Err() == nil {
		var now v1alpha1.FleetStatus
		if _, err := f.read(ctx, request{path: v1alpha1.PathStatus}, &now); err == nil {
			err = tell(func(p *progress) {
				clear(p.away)
				for _, c := range now.Clusters {
					p.away[c.Name] = !c.Reachable
				}
			})
			if err != nil {
				return
			}
		}
		wait(ctx, askEvery)
	}
}

// askedAtOnce is of how many rollouts a wait asks at once: a member with a thousand has other things to do.
const askedAtOnce = 16

// watchRollouts tells, from time to time, how the rollouts stand that bring the goals about.
func (f *fleet) watchRollouts(ctx context.Context, goals []goal, tell func(func(*progress)) error) {
	for ctx.Err() == nil && len(goals) > 0 {
		for some := range slices.Chunk(goals, askedAtOnce) {
			f.askRollouts(ctx, some, tell)
			wait(ctx, askEvery)
		}
	}
}

// askRollouts asks of all goals at once: one that is far away, or hangs, keeps no other waiting.
func (f *fleet) askRollouts(ctx context.Context, goals []goal, tell func(func(*progress)) error) {
	var group sync.WaitGroup
	defer group.Wait()
	for _, g := range goals {
		group.Go(func() {
			if r, err := f.rolloutTo(ctx, g); err == nil && r != nil { // else it has not begun, or is asked for again
				_ = tell(func(p *progress) { p.rollouts[g.bundle] = *r }) // which fails when nobody waits any more
			}
		})
	}
}

// rolloutTo is the rollout that brings a goal about, nil when none does.
func (f *fleet) rolloutTo(ctx context.Context, g goal) (*v1alpha1.Rollout, error) {
	if g.revision == "" { // it is taken away, by a rollout of no revision
		newest, _, err := f.newestRollout(ctx, g.bundle)
		return newest, err
	}
	var r v1alpha1.Rollout
	_, err := f.read(ctx, request{path: mustKind("Rollout").path(g.revision)}, &r)
	return &r, err
}
