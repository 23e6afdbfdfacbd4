package guests

import (
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
)

// stream is of a type that has no ==, as a wrapped connection may be.
type stream struct {
	net.Conn
	_ []byte
}

func pipe() (here stream, there net.Conn) {
	h, t := net.Pipe()
	return stream{Conn: h}, t
}

func TestList(t *testing.T) {
	t.Run("a peer's newer stream ends its older one, and takes its place", func(t *testing.T) {
		l := New[string](64)
		older, far := pipe()
		newer, _ := pipe()
		leaveOlder, first := l.Admit("a", older)
		leaveNewer, second := l.Admit("a", newer)
		if !first || !second || l.Count() != 1 {
			t.Fatalf("%d places", l.Count())
		}
		if _, err := far.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("the older one goes on: %v", err)
		}
		if leaveOlder(); l.Count() != 1 {
			t.Error("the older one took the newer one's place with it")
		}
		if leaveNewer(); l.Count() != 0 {
			t.Error("a place is lost")
		}
	})
	t.Run("who is one too many gets no place, whoever has one comes again", func(t *testing.T) {
		const most = 64
		l := New[string](most)
		for i := range most {
			s, _ := pipe()
			if _, ok := l.Admit(fmt.Sprint(i), s); !ok {
				t.Fatalf("peer %d got no place", i)
			}
		}
		late, _ := pipe()
		again, _ := pipe()
		leave, tooMany := l.Admit("late", late)
		_, back := l.Admit("7", again)
		if leave(); tooMany || !back || l.Count() != most {
			t.Errorf("%d places", l.Count())
		}
	})
}
