package main

import (
	"context"
	"iter"
	"slices"
	"time"
)

// inStep is how long a cluster is waited for whose turn it is, by name. Who needs longer is printed when it answers, and holds up
// nobody meanwhile.
const inStep = time.Second

// reply is what one cluster says.
type reply struct {
	cluster string
	ctx     context.Context // of this one command
	giveUp  context.CancelFunc
	ready   chan struct{} // has one thing in it while no page of it waits to be printed

	kind       string // as the cluster calls it; known before its first page is sent
	namespaced bool

	err   error // why there is no more of it
	begun bool  // some of it is printed
}

func newReply(ctx context.Context, cluster string) *reply {
	r := &reply{cluster: cluster, ready: make(chan struct{}, 1)}
	r.ctx, r.giveUp = context.WithCancel(ctx)
	r.ready <- struct{}{}
	return r
}

// page is a piece of what a cluster says, or that it says no more.
type page struct {
	of    *reply
	chunk []byte
	last  bool
	err   error // of the last one: why it breaks off
}

// inTurn are the pages of the replies in the order in which the replies stand. One whose next page is not there when patience
// ends is no longer waited for until it comes.
func inTurn(replies []*reply, pages <-chan page, patience func() <-chan time.Time) iter.Seq[page] {
	return func(yield func(page) bool) {
		left, here, late := slices.Clone(replies), map[*reply]page{}, map[*reply]bool{}
		for len(left) > 0 {
			awaitTurn(left, here, late, pages, patience())
			i := slices.IndexFunc(left, func(r *reply) bool { _, ok := here[r]; return ok })
			r := left[i]
			p := here[r]
			if delete(here, r); p.last {
				left = slices.Delete(left, i, i+1)
			}
			if !yield(p) {
				return
			}
			r.ready <- struct{}{}
		}
	}
}

// awaitTurn takes pages until there is one whose turn it is: none before it is waited for.
func awaitTurn(left []*reply, here map[*reply]page, late map[*reply]bool, pages <-chan page, over <-chan time.Time) {
	awaited := func(r *reply) bool { return !late[r] }
	for {
		i := slices.IndexFunc(left, awaited)
		if i >= 0 {
			if _, ok := here[left[i]]; ok {
				return
			}
		}
		select {
		case p := <-pages:
			here[p.of] = p
			delete(late, p.of)
		case <-over:
			for _, r := range left {
				if _, ok := here[r]; !ok {
					late[r] = true
				}
			}
		}
	}
}
