package apiserver

import (
	"context"
	"net"
	"sync"
)

// limited lets at most n connections of a listener be open at once, and each host have its share of them; others are
// closed as they come.
func limited(l net.Listener, n int) net.Listener {
	return &limitedListener{Listener: l, seats: newSeats(n, 0, 0)}
}

type limitedListener struct {
	net.Listener
	seats *seats
}

func (l *limitedListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		giveBack, err := l.seats.take(context.Background(), hostOf(c), 1)
		if err == nil {
			return &limitedConn{Conn: c, release: sync.OnceFunc(giveBack)}, nil
		}
		c.Close()
	}
}

// hostOf is where a connection comes from; all of a Unix socket come from one place.
func hostOf(c net.Conn) string {
	host, _, err := net.SplitHostPort(c.RemoteAddr().String())
	if err != nil {
		return ""
	}
	return host
}

type limitedConn struct {
	net.Conn
	release func()
}

func (c *limitedConn) Close() error {
	defer c.release()
	return c.Conn.Close()
}
