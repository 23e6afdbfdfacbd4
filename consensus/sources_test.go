package consensus

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/hanse-fleet/hanse/consensus/store"
)

func TestSources(t *testing.T) {
	// A member is its region and a number, and marks: r is in raft, - may not vote. The first follows.
	tests := []struct {
		name, members string
		first         string // all of these before the rest, in any order
		rest          string
	}{
		{"who has a server in its region follows it", "a2 a1r b1r c1r", "a1", "b1 c1"},
		{"the first two of a region without servers follow far servers", "b1 b2 b3 a1r c1r", "a1 c1", ""},
		{"the others follow these, and far servers at need", "b3 b1 b2 a1r", "b1 b2", "a1"},
		{"who may not vote relays nothing", "b4 b1- b2 b3 a1r", "b2 b3", "a1"},
		{"a region without anyone who may follows from afar", "b3- b1- b2- a1r", "a1", ""},
		{"a server follows the others when nobody speaks to it", "a1r a2r b1r", "a2", "b1"},
		{"without servers there is nobody", "a1 b1", "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := surroundings{servers: map[MemberID]bool{}}
			for _, f := range strings.Fields(test.members) {
				m := store.Member{ID: MemberID(f[:2]), Region: f[:1], Eligible: !strings.Contains(f[2:], "-")}
				s.members = append(s.members, m)
				if strings.Contains(f[2:], "r") {
					s.servers[m.ID] = true
				}
			}
			s.self = s.members[0].ID
			got := fmt.Sprint(s.sources())
			first, rest := strings.Fields(test.first), strings.Fields(test.rest)
			all := s.sources()
			if len(all) != len(first)+len(rest) {
				t.Fatalf("got %s", got)
			}
			for i, id := range all {
				if !slices.Contains(append([][]string{first}, rest)[min(1, i/max(1, len(first)))], string(id)) {
					t.Errorf("got %s", got)
				}
			}
		})
	}
}

func TestSourcesOfAFleet(t *testing.T) {
	t.Run("nobody is further than two steps from raft, and no source has more than it can serve", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			s := surroundings{servers: map[MemberID]bool{}}
			regions, members := rapid.IntRange(1, 8).Draw(t, "regions"), rapid.IntRange(1, 400).Draw(t, "members")
			for i := range members {
				m := store.Member{ID: MemberID(fmt.Sprintf("m%03d", i)), Region: fmt.Sprint(rapid.IntRange(1, regions).Draw(t, "region"))}
				m.Eligible = rapid.IntRange(0, 9).Draw(t, "eligible") > 0
				s.members = append(s.members, m)
			}
			for range rapid.IntRange(1, 7).Draw(t, "servers") {
				s.servers[rapid.SampledFrom(s.members).Draw(t, "server").ID] = true
			}
			seated := map[MemberID]int{}
			for _, m := range s.members {
				s.self = m.ID
				if s.servers[m.ID] {
					continue
				}
				all := s.sources()
				if slices.Contains(all, m.ID) || len(all) == 0 {
					t.Fatalf("%s follows %v", m.ID, all)
				}
				for _, source := range all {
					checkSource(t, s, source)
				}
				// What is full is passed over, as refusals do it.
				i := slices.IndexFunc(all, func(id MemberID) bool { return seated[id] < maxFollowers })
				if i < 0 && members <= len(s.servers)*seats {
					t.Fatalf("no seat for %s among %v", m.ID, all)
				}
				if i >= 0 {
					seated[all[i]]++
				}
			}
		})
	})
}

// checkSource checks that a source is trusted, and follows servers only.
func checkSource(t *rapid.T, s surroundings, source MemberID) {
	if s.servers[source] {
		return
	}
	i := slices.IndexFunc(s.members, func(m store.Member) bool { return m.ID == source })
	if !s.members[i].Eligible {
		t.Fatalf("%s relays and may not vote", source)
	}
	s.self = source
	for _, up := range s.sources() {
		if !s.servers[up] {
			t.Fatalf("%s relays, and follows %s, which is no server", source, up)
		}
	}
}
