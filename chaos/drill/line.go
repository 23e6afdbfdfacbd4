package drill

import (
	"context"
	"net"
	"sync"
)

// line is how one client reaches servers. While it is cut nothing passes, and who dials waits.
type line struct {
	mu     sync.Mutex
	mended chan struct{} // nil while it is whole
	conns  []net.Conn
}

func (l *line) dial(ctx context.Context, network, address string) (net.Conn, error) {
	for {
		l.mu.Lock()
		mended := l.mended
		l.mu.Unlock()
		if mended == nil {
			break
		}
		select {
		case <-mended:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns = append(l.conns, conn)
	return conn, nil
}

func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mended = make(chan struct{})
	for _, c := range l.conns {
		c.Close()
	}
	l.conns = nil
}

func (l *line) mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.mended)
	l.mended = nil
}
