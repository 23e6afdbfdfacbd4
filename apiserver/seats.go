package apiserver

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// seats are places that askers share. Each may hold as many as it leaves free: one alone gets half of them, two get a
// third each, and whoever comes next finds some.
type seats struct {
	queue    int           // how many requests of one asker may wait
	patience time.Duration // how long one waits

	mu     sync.Mutex
	free   int
	askers map[string]*asker // those that hold seats or wait
	came   uint64            // counts those who had to wait
}

// asker is one of those who share.
type asker struct {
	held    int
	waiting []*waiter // the first came first
}

type waiter struct {
	seats int
	came  uint64
	taken chan struct{} // closed once it has them
}

// errNoSeat means that the asker has its share already, and as many wait as may.
var errNoSeat = errors.New("more at once than its share")

func newSeats(n, queue int, patience time.Duration) *seats {
	return &seats{queue: queue, patience: patience, free: n, askers: map[string]*asker{}}
}

// take gives the asker n seats, at once or after a while; they are to be given back. The error is errNoSeat, or ctx's.
func (s *seats) take(ctx context.Context, who string, n int) (giveBack func(), err error) {
	w := &waiter{seats: n, taken: make(chan struct{})}
	if !s.line(who, w) {
		return nil, errNoSeat
	}
	giveBack = func() { s.give(who, n) }
	select {
	case <-w.taken:
		return giveBack, nil
	default:
	}
	patience := time.NewTimer(s.patience)
	defer patience.Stop()
	select {
	case <-w.taken:
		return giveBack, nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-patience.C:
		err = errNoSeat
	}
	s.leave(who, w)
	return nil, err
}

// now takes n seats if the asker may have them at once.
func (s *seats) now(who string, n int) (giveBack func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.asker(who)
	defer s.forget(who, a)
	if len(a.waiting) > 0 || a.held+n > s.free {
		return nil, false
	}
	a.held += n
	s.free -= n
	return func() { s.give(who, n) }, true
}

// wanted says that the asker waits for seats.
func (s *seats) wanted(who string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.askers[who]
	return a != nil && len(a.waiting) > 0
}

// asker needs the lock.
func (s *seats) asker(who string) *asker {
	a := s.askers[who]
	if a == nil {
		a = &asker{}
		s.askers[who] = a
	}
	return a
}

// line seats a request, or lets it wait behind those of the same asker; false when too many wait.
func (s *seats) line(who string, w *waiter) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.asker(who)
	defer s.forget(who, a)
	s.came++
	w.came = s.came
	if len(a.waiting) == 0 && s.fits(a, w) {
		s.seat(a, w)
		return true
	}
	if len(a.waiting) >= s.queue {
		return false
	}
	a.waiting = append(a.waiting, w)
	return true
}

func (s *seats) fits(a *asker, w *waiter) bool { return a.held+w.seats <= s.free }

func (s *seats) seat(a *asker, w *waiter) {
	a.held += w.seats
	s.free -= w.seats
	close(w.taken)
}

// forget drops an asker who holds nothing and waits for nothing.
func (s *seats) forget(who string, a *asker) {
	if a.held == 0 && len(a.waiting) == 0 {
		delete(s.askers, who)
	}
}

// give takes seats back and passes them on.
func (s *seats) give(who string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.askers[who]
	a.held -= n
	s.free += n
	for s.seatNext() {
	}
	s.forget(who, a)
}

// seatNext seats the first request of the asker who holds the least, of two the one who waits longer.
func (s *seats) seatNext() bool {
	var next *asker
	for _, a := range s.askers {
		if len(a.waiting) > 0 && s.fits(a, a.waiting[0]) && (next == nil || a.before(next)) {
			next = a
		}
	}
	if next == nil {
		return false
	}
	w := next.waiting[0]
	next.waiting = next.waiting[1:]
	s.seat(next, w)
	return true
}

func (a *asker) before(b *asker) bool {
	if a.held != b.held {
		return a.held < b.held
	}
	return a.waiting[0].came < b.waiting[0].came
}

// leave takes a request out of the line, or gives back what it was given meanwhile.
func (s *seats) leave(who string, w *waiter) {
	s.mu.Lock()
	a := s.askers[who]
	i := -1
	if a != nil {
		i = slices.Index(a.waiting, w)
	}
	if i >= 0 {
		a.waiting = slices.Delete(a.waiting, i, i+1)
		for s.seatNext() { // it may have stood in the way of a smaller one
		}
		s.forget(who, a)
	}
	s.mu.Unlock()
	if i < 0 {
		s.give(who, w.seats)
	}
}
