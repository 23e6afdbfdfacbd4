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

// unstalled ends an answer that never ends by itself once its client takes no piece of it for Timing.Stall. Nobody can be
// told: it does not read. The log says who it was.
func (s *Server) unstalled(h http.Handler, longRunning apirequest.LongRunningRequestCheck) http.Handler {
	patience := s.config.Timing.Completed().Stall
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		info, ok := apirequest.RequestInfoFrom(r.Context())
		if !ok || !longRunning(r, info) {
			h.ServeHTTP(w, r)
			return
		}
		paced := newPacedWriter(w, patience)
		h.ServeHTTP(responsewriter.WrapForHTTP1Or2(paced), r)
		if paced.end() {
			s.config.Logger.Warn("a client stopped reading; its answer is ended", "asker", asking(r.Context()), "path", r.URL.Path, "after", patience)
		}
	})
}

// pacedWriter writes piece by piece, and hangs up on a client that lets one wait for too long.
type pacedWriter struct {
	http.ResponseWriter
	control  *http.ResponseController
	patience time.Duration
	waiting  *time.Timer // runs while a piece waits

	mu      sync.Mutex
	hungUp  bool
	ended   bool // the handler has returned, nothing may be done with the ResponseWriter
	takenUp bool // the connection is no longer HTTP's
}

func newPacedWriter(w http.ResponseWriter, patience time.Duration) *pacedWriter {
	p := &pacedWriter{ResponseWriter: w, control: http.NewResponseController(w), patience: patience}
	p.waiting = time.AfterFunc(patience, p.hangUp)
	p.waiting.Stop()
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
	p.waiting.Reset(p.patience)
	defer p.waiting.Stop()
	return p.ResponseWriter.Write(b)
}

// Flush implements http.Flusher.
func (p *pacedWriter) Flush() {
	p.waiting.Reset(p.patience)
	defer p.waiting.Stop()
	_ = p.control.Flush() // the next Write has the error, too
}

// Hijack implements http.Hijacker, with the same patience.
func (p *pacedWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, buffered, err := p.control.Hijack()
	if err != nil {
		return nil, nil, fmt.Errorf("take over a connection: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.takenUp = true
	paced := &pacedConn{Conn: c, patience: p.patience}
	buffered.Writer.Reset(paced)
	return paced, buffered, nil
}

func (p *pacedWriter) hangUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.ended && !p.takenUp {
		p.hungUp = p.control.SetWriteDeadline(time.Now().Add(-time.Second)) == nil
	}
}

// end is called when the handler has returned, and says whether the client was hung up on. What is still to be written
// has the patience, too.
func (p *pacedWriter) end() (hungUp bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	if !p.takenUp && !p.hungUp {
		_ = p.control.SetWriteDeadline(time.Now().Add(p.patience))
	}
	return p.hungUp
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
