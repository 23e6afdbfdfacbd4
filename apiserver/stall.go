package apiserver

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	apirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/endpoints/responsewriter"
)

// answerTimeout bounds an answer that ends by itself, its request included. What serves it has given up before.
const answerTimeout = 90 * time.Second

// pieceSize is how much of an answer waits in a connection at most; it is copied, so that nothing of what it was part of
// stays there.
const pieceSize = 16 << 10

var pieces = sync.Pool{New: func() any { return new([pieceSize]byte) }}

// moment is how long a piece may wait while the same client waits for room.
const moment = 2 * time.Second

// unstalled ends an answer that never ends by itself once its client takes no piece of it for Timing.Stall, or the endpoint's
// Patience, or for a moment when what it holds is wanted by others of the same asker. Nobody can be told: it does not read. The log says who it was.
func (s *Server) unstalled(h http.Handler, longRunning apirequest.LongRunningRequestCheck) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		info, ok := apirequest.RequestInfoFrom(r.Context())
		if !ok || !longRunning(r, info) {
			h.ServeHTTP(w, r)
			return
		}
		who := Asking(r.Context()).Person
		patience, wanted := s.config.Timing.Completed().Stall, func() bool { return s.shares.room.wanted(who) }
		if e, ok := s.config.endpointOf(r.URL.Path); ok && e.Patience > 0 {
			patience, wanted = e.Patience, func() bool { return false } // it holds nothing of the room
		}
		paced := newPacedWriter(w, patience, wanted)
		h.ServeHTTP(responsewriter.WrapForHTTP1Or2(paced), r)
		if waited := paced.end(); waited > 0 {
			s.config.Logger.Warn("a client stopped reading; its answer is ended", "asker", who, "path", r.URL.Path, "after", waited)
		}
	})
}

// pacedWriter writes piece by piece, and hangs up on a client that lets one wait for too long.
type pacedWriter struct {
	http.ResponseWriter
	control  *http.ResponseController
	patience time.Duration
	wanted   func() bool // what it holds, by others
	clock    *time.Timer // runs while a piece waits

	mu       sync.Mutex
	since    time.Time     // when the piece that waits began to; zero: none does
	waited   time.Duration // how long the one did that was the last
	ended    bool          // the handler has returned, nothing may be done with the ResponseWriter
	hijacked bool          // the connection is no longer HTTP's
}

func newPacedWriter(w http.ResponseWriter, patience time.Duration, wanted func() bool) *pacedWriter {
	p := &pacedWriter{ResponseWriter: w, control: http.NewResponseController(w), patience: patience, wanted: wanted}
	p.clock = time.AfterFunc(patience, p.look)
	p.clock.Stop()
	_ = p.control.SetWriteDeadline(time.Time{}) // not every ResponseWriter has one; those of net/http do
	return p
}

// Unwrap is for http.ResponseController.
func (p *pacedWriter) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// Write implements http.ResponseWriter.
func (p *pacedWriter) Write(b []byte) (n int, err error) {
	if len(b) <= pieceSize {
		return p.writePiece(b)
	}
	copied := pieces.Get().(*[pieceSize]byte)
	for n < len(b) {
		wrote, err := p.writePiece(copied[:copy(copied[:], b[n:])])
		n += wrote
		if err != nil {
			return n, err // the connection may still hold the piece: it is not given back
		}
	}
	pieces.Put(copied)
	return n, nil
}

func (p *pacedWriter) writePiece(b []byte) (int, error) {
	p.begin()
	defer p.done()
	return p.ResponseWriter.Write(b)
}

// Flush implements http.Flusher.
func (p *pacedWriter) Flush() {
	p.begin()
	defer p.done()
	_ = p.control.Flush() // the next Write has the error, too
}

func (p *pacedWriter) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.since = time.Now()
	p.clock.Reset(min(moment, p.patience))
}

func (p *pacedWriter) done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.since = time.Time{}
	p.clock.Stop()
}

// look hangs up when the piece has waited long enough.
func (p *pacedWriter) look() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.since.IsZero() || p.ended || p.hijacked || p.waited > 0 {
		return
	}
	waited := time.Since(p.since)
	if waited < p.patience && !p.wanted() {
		p.clock.Reset(min(moment, p.patience-waited))
		return
	}
	if err := p.control.SetWriteDeadline(time.Now().Add(-time.Second)); err == nil {
		p.waited = waited
	}
}

// Hijack implements http.Hijacker, with the same patience.
func (p *pacedWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, buffered, err := p.control.Hijack()
	if err != nil {
		return nil, nil, fmt.Errorf("take over a connection: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hijacked = true
	paced := &pacedConn{Conn: c, patience: p.patience}
	buffered.Writer.Reset(paced)
	return paced, buffered, nil
}

// end is called when the handler has returned, and says how long the client was waited for if it was hung up on. What is
// still to be written has the patience, too.
func (p *pacedWriter) end() (waited time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	if !p.hijacked && p.waited == 0 {
		_ = p.control.SetWriteDeadline(time.Now().Add(p.patience))
	}
	return p.waited
}

// pacedConn gives each Write its deadline.
type pacedConn struct {
	net.Conn
	patience time.Duration
}

func (c *pacedConn) Write(b []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.patience)); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}
