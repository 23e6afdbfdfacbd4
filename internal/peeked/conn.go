// Package peeked is of connections that somebody has begun to read: what was read ahead is read first.
package peeked

import (
	"bufio"
	"net"
)

// Conn is such a connection.
type Conn struct {
	net.Conn
	// Ahead reads from Conn, and may hold what came first.
	Ahead *bufio.Reader
}

func (c Conn) Read(b []byte) (int, error) { return c.Ahead.Read(b) }

// CloseWrite ends what is sent; a connection that cannot end in one direction ends.
func (c Conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return c.Close()
}
