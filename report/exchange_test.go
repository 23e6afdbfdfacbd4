package report

import (
	"net"
	"testing"

	"github.com/hanse-fleet/hanse/consensus/store"
)

func TestCallers(t *testing.T) {
	c := newCallers()
	first, other := net.Pipe()
	leave, ok := c[below].Admit("a", first)
	if !ok {
		t.Fatal("the first is refused")
	}
	second, _ := net.Pipe()
	if _, ok := c[below].Admit("a", second); !ok {
		t.Fatal("its newer stream is refused")
	}
	if _, err := other.Read(make([]byte, 1)); err == nil {
		t.Error("the older stream goes on")
	}
	leave()
	if c[below].Count() != 1 {
		t.Error("the end of the older stream ends the newer")
	}
	for i := range maxFollowers - 1 {
		if _, ok := c[below].Admit(store.MemberID(rune(1000+i)), second); !ok {
			t.Fatalf("refused after %d", i)
		}
	}
	if _, ok := c[below].Admit("z", first); ok {
		t.Error("one more than may is taken")
	}
	if _, ok := c[beside].Admit("z", first); !ok {
		t.Error("a server is refused because of followers")
	}
}
