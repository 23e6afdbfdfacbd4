package peeked

import (
	"bufio"
	"io"
	"net"
	"testing"
)

func TestWhatWasReadAheadIsReadFirst(t *testing.T) {
	near, far := net.Pipe()
	go func() { io.WriteString(far, "first, then"); io.WriteString(far, " the rest"); far.Close() }()
	ahead := bufio.NewReader(near)
	if _, err := ahead.Peek(1); err != nil {
		t.Fatal(err)
	}
	c := Conn{Conn: near, Ahead: ahead}
	if heard, err := io.ReadAll(c); err != nil || string(heard) != "first, then the rest" {
		t.Errorf("%q, %v", heard, err)
	}
}

func TestWhatCannotEndInOneDirectionEnds(t *testing.T) {
	near, far := net.Pipe()
	if err := (Conn{Conn: near, Ahead: bufio.NewReader(near)}).CloseWrite(); err != nil {
		t.Error(err)
	}
	if _, err := far.Read(make([]byte, 1)); err != io.EOF {
		t.Error(err)
	}
}
