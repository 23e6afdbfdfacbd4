package agent

import (
	"net"
	"testing"
	"time"

	"github.com/hanse-fleet/hanse/consensus/store"
)

func TestSensesForgetTheRemovedOnly(t *testing.T) {
	s, now := newSenses(), time.Now()
	s.of([]store.MemberID{"a", "b"}, now)
	s.hear("a", now)
	s.hear("b", now)
	s.forget(func(id store.MemberID) bool { return id == "b" })
	if _, kept := s.heard["a"]; !kept {
		t.Error("the word of a living member is forgotten")
	}
	if _, kept := s.heard["b"]; kept {
		t.Error("the word of a removed member is kept")
	}
}

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

func TestAReportThatNoBulletinHoldsIsNotTaken(t *testing.T) {
	r := bundleReport{Bundle: "shop", BundleUID: string(make([]byte, maxReport))}
	if r.weight() <= maxReport {
		t.Errorf("it weighs %d", r.weight())
	}
	b := newBoard("a", 1)
	rec := &record{sighting: sighting{bundles: map[string]bundleReport{}}, ticks: map[string]uint64{}}
	b.hearBundles(rec, news{Bundles: []bundleReport{r, {Bundle: "web", Number: 1}}, Names: []string{"shop", "web"}, NamesAt: 1}, time.Now())
	if _, taken := rec.bundles["shop"]; taken {
		t.Error("it is kept, and would be passed on")
	}
	if _, taken := rec.bundles["web"]; !taken {
		t.Error("the other one is not taken")
	}
}
