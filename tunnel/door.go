package tunnel

import (
	"context"
	"net"
	"sync"
)

// door is a net.Listener of connections that come through tunnels.
type door struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func newDoor() *door { return &door{conns: make(chan net.Conn), closed: make(chan struct{})} }

// put hands a connection to whoever accepts. It closes it when nobody does.
func (d *door) put(ctx context.Context, c net.Conn) error {
	select {
	case d.conns <- c:
		return nil
	case <-d.closed:
	case <-ctx.Done():
	}
	c.Close()
	return errStopping
}

// Accept implements net.Listener.
func (d *door) Accept() (net.Conn, error) {
	select {
	case c := <-d.conns:
		return c, nil
	case <-d.closed:
		return nil, net.ErrClosed
	}
}

func (d *door) Close() error {
	d.once.Do(func() { close(d.closed) })
	return nil
}

// Addr implements net.Listener.
func (d *door) Addr() net.Addr { return address{} }

type address struct{}

func (address) Network() string { return Kind }
func (address) String() string  { return Kind }

// guest is a connection that ends here. It tells when it was closed.
type guest struct {
	net.Conn
	once sync.Once
	gone chan struct{}
}

func (g *guest) Close() error {
	err := g.Conn.Close()
	g.once.Do(func() { close(g.gone) })
	return err
}
