package tunnel

import (
	"io"
	"net"
	"testing"
	"time"
)

// tcp is a connection that can end in one direction.
func tcp(t *testing.T) (near, far *net.TCPConn) {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	near, err = net.DialTCP("tcp", nil, l.Addr().(*net.TCPAddr))
	if err != nil {
		t.Fatal(err)
	}
	if far, err = l.AcceptTCP(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close(); far.Close() })
	return near, far
}

func TestTheEndOfOneDirectionIsPassedOnAndEndsItAlone(t *testing.T) {
	person, a := tcp(t)
	b, member := tcp(t)
	done := make(chan error, 1)
	go func() { done <- Splice(a, b, time.Minute) }()
	if _, err := io.WriteString(person, "question"); err != nil {
		t.Fatal(err)
	}
	person.CloseWrite()
	if heard, err := io.ReadAll(member); err != nil || string(heard) != "question" {
		t.Fatalf("%q, %v", heard, err)
	}
	if _, err := io.WriteString(member, "answer"); err != nil {
		t.Fatal(err)
	}
	member.Close()
	if heard, err := io.ReadAll(person); err != nil || string(heard) != "answer" {
		t.Errorf("%q, %v", heard, err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}
