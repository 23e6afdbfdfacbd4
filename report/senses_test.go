package report

import (
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
