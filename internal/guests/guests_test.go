package guests

import (
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
)

func TestList(t *testing.T) {
	t.Run("a peer's newer stream ends its older one, and takes its place", func(t *testing.T) {
		l := New[string](64)
		older, far := net.Pipe()
		newer, _ := net.Pipe()
		if !l.Admit("a", older) || !l.Admit("a", newer) || l.Count() != 1 {
			t.Fatalf("%d places", l.Count())
		}
		if _, err := far.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("the older one goes on: %v", err)
		}
		if l.Leave("a", older); l.Count() != 1 {
			t.Error("the older one took the newer one's place with it")
		}
		if l.Leave("a", newer); l.Count() != 0 {
			t.Error("a place is lost")
		}
	})
	t.Run("who is one too many gets no place, whoever has one comes again", func(t *testing.T) {
		const most = 64
		l := New[string](most)
		for i := range most {
			if s, _ := net.Pipe(); !l.Admit(fmt.Sprint(i), s) {
				t.Fatalf("peer %d got no place", i)
			}
		}
		late, _ := net.Pipe()
		again, _ := net.Pipe()
		if l.Admit("late", late) || !l.Admit("7", again) || l.Count() != most {
			t.Errorf("%d places", l.Count())
		}
	})
}
