package epoch

import (
	"errors"
	"strings"
	"testing"

	"github.com/hanse-fleet/hanse/consensus/store"
)

// five is the statement of a member of a fleet of five voters, and a sixth that does not vote.
func five(cluster string, term, index uint64) Statement {
	s := Statement{Fleet: "acme", Cluster: cluster, Member: store.MemberID("id-" + cluster), Epoch: 1, EpochID: "first", LastTerm: term, LastIndex: index}
	for _, name := range []string{"ams", "fra", "iad", "pdx", "sin"} {
		s.Members = append(s.Members, StatedMember{Cluster: name, Member: store.MemberID("id-" + name), Voter: true})
	}
	s.Members = append(s.Members, StatedMember{Cluster: "gru", Member: "id-gru"})
	return s
}

func changed(s Statement, change func(*Statement)) Statement { change(&s); return s }

func TestRecoveryIsMadeOnTheMostAdvancedSurvivorOnly(t *testing.T) {
	fra, iad, sin := five("fra", 3, 100), five("iad", 3, 99), five("sin", 2, 500)
	lost := []string{"ams", "pdx", "sin", "gru"}
	for name, tt := range map[string]struct {
		r    Recovery
		want string // of the error; empty: it may be made
	}{
		"the one with the longest log":               {Recovery{fra, []Statement{iad}, lost}, ""},
		"the only survivor":                          {Recovery{iad, nil, []string{"ams", "fra", "pdx", "sin", "gru"}}, ""},
		"one of two that are equal":                  {Recovery{iad, []Statement{five("fra", 3, 99)}, lost}, ""},
		"not one with a shorter log":                 {Recovery{iad, []Statement{fra}, lost}, "fra is further: its log ends at term 3, index 100, the one of iad at term 3, index 99"},
		"a later term counts more than a longer log": {Recovery{sin, []Statement{iad}, []string{"ams", "pdx", "fra", "gru"}}, "iad is further"},
		"one that does not vote, when it is alone":   {Recovery{five("gru", 3, 9), nil, []string{"ams", "fra", "iad", "pdx", "sin"}}, ""},
		"not with a majority there":                  {Recovery{fra, []Statement{iad, sin}, []string{"ams", "pdx", "gru"}}, "the majority is not lost: 3 of 5 voters are here (fra, iad, sin)"},
		"not while somebody may come back":           {Recovery{fra, []Statement{iad}, []string{"ams", "pdx", "sin"}}, "not known to be fenced off: gru"},
		"not with a survivor fenced off":             {Recovery{fra, []Statement{iad}, append(lost, "iad")}, "iad is said to be fenced off, and is here"},
		"not with itself fenced off":                 {Recovery{fra, []Statement{iad}, append(lost, "fra")}, "fra is said to be fenced off, and is here"},
		"not with a stranger fenced off":             {Recovery{fra, []Statement{iad}, append(lost, "rom")}, "rom is said to be fenced off, and is no member that fra knows"},
		"not beside another fleet's statement":       {Recovery{fra, []Statement{changed(iad, func(s *Statement) { s.Fleet = "demo" })}, lost}, "is of fleet demo"},
		"not beside its own statement":               {Recovery{fra, []Statement{fra}, lost}, "is of this member itself"},
		"not when another went on":                   {Recovery{fra, []Statement{changed(iad, func(s *Statement) { s.Epoch, s.EpochID = 2, "second" })}, lost}, "iad is in epoch 2 already"},
		"not beside what another epoch left":         {Recovery{changed(fra, func(s *Statement) { s.Epoch = 2 }), []Statement{iad}, lost}, "iad is left from epoch 1"},
		"not when two halves each went on":           {Recovery{fra, []Statement{changed(iad, func(s *Statement) { s.EpochID = "other" })}, lost}, "each gone on alone, into two epochs 1"},
	} {
		t.Run(name, func(t *testing.T) {
			err := tt.r.Check()
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v", err)
			}
		})
	}
	var unfenced *UnfencedError
	if err := (Recovery{fra, []Statement{iad}, nil}).Check(); !errors.As(err, &unfenced) || len(unfenced.Clusters) != 4 {
		t.Errorf("nobody fenced off: %v", err)
	}
}
