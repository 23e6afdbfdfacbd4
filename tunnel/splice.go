package tunnel

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// buffer is what one direction of a tunnel holds of it: what the reader does not take is not read either.
const buffer = 32 << 10

// errIdle means that nothing has passed for so long as is allowed.
var errIdle = errors.New("nothing has passed for too long")

// Splice lets everything pass between two connections until both directions have ended, one fails, or nothing has passed for
// idle. It closes both. The end of one direction is passed on when the connection can tell it (CloseWrite), and does not end the other.
func Splice(a, b net.Conn, idle time.Duration) error {
	s := &splice{a: a, b: b, begun: time.Now()}
	stop := s.watch(idle)
	var back error
	var wg sync.WaitGroup
	wg.Go(func() { back = s.pass(a, b) })
	there := s.pass(b, a)
	wg.Wait()
	stop()
	s.end(nil)
	if s.why != nil {
		return s.why
	}
	return errors.Join(there, back)
}

// splice is two connections that are one.
type splice struct {
	a, b   net.Conn
	begun  time.Time
	passed atomic.Int64 // when something passed last, nanoseconds since it began
	ended  sync.Once
	why    error // written in ended, read when both directions have ended
}

// note notes that something passed.
func (s *splice) note(n int) {
	if n > 0 {
		s.passed.Store(int64(time.Since(s.begun)))
	}
}

// pass copies until the source ends; when it ends badly, so does all.
func (s *splice) pass(to, from net.Conn) error {
	_, err := io.CopyBuffer(writer{to, s}, reader{from, s}, make([]byte, buffer))
	if err == nil {
		err = closeWrite(to)
	}
	if err != nil {
		s.end(nil)
	}
	return err
}

// watch ends the splice when nothing passes. The returned function ends the watching.
func (s *splice) watch(idle time.Duration) (stop func()) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		timer := time.NewTimer(idle)
		defer timer.Stop()
		for {
			select {
			case <-done:
				return
			case <-timer.C:
			}
			left := idle - (time.Since(s.begun) - time.Duration(s.passed.Load()))
			if left <= 0 {
				s.end(errIdle)
				return
			}
			timer.Reset(left)
		}
	})
	return func() { close(done); wg.Wait() }
}

// end closes both, so that whatever waits on them returns.
func (s *splice) end(why error) {
	s.ended.Do(func() {
		s.why = why
		abort(s.a)
		abort(s.b)
	})
}

// abort closes a connection so that the other side sees no orderly end after a part of what was to come.
func abort(c net.Conn) {
	if c, ok := c.(interface{ Abort() }); ok {
		c.Abort()
	}
	c.Close()
}

func closeWrite(c net.Conn) error {
	if c, ok := c.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return c.Close()
}

// reader and writer note that something passed, and hide ReadFrom and WriteTo, which would not.
type reader struct {
	from net.Conn
	s    *splice
}

func (r reader) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	r.s.note(n)
	return n, err
}

type writer struct {
	to net.Conn
	s  *splice
}

func (w writer) Write(p []byte) (int, error) {
	n, err := w.to.Write(p)
	w.s.note(n)
	return n, err
}
