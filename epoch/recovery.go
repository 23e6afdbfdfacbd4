package epoch

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/hanse-fleet/hanse/consensus/store"
)

// Statement is what a survivor has, as it says itself: `hanse recover --show -o json` on one is `--survivor FILE` on another.
type Statement struct {
	Fleet   string         `json:"fleet"`
	Cluster string         `json:"cluster"`
	Member  store.MemberID `json:"member"`
	Epoch   uint64         `json:"epoch"`
	EpochID string         `json:"epochID"`
	// LastTerm and LastIndex are of the last entry of its log, committed or not: of two survivors the one with the higher
	// pair has all that the other one has acknowledged.
	LastTerm  uint64 `json:"lastTerm"`
	LastIndex uint64 `json:"lastIndex"`
	// Revision is the store's, with all of the log applied.
	Revision store.Revision `json:"revision"`
	// Members are those that the survivor knows, itself included.
	Members []StatedMember `json:"members"`
}

// StatedMember is a member that a survivor knows.
type StatedMember struct {
	Cluster string         `json:"cluster"`
	Region  string         `json:"region"`
	Member  store.MemberID `json:"member"`
	Voter   bool           `json:"voter,omitempty"`
}

// Of is the statement with what the state of the member says, and which of its members vote by the log.
func (s Statement) Of(v *store.View, voters []store.MemberID) Statement {
	s.Epoch, s.EpochID, s.Revision = v.Epoch().Number, v.Epoch().ID, v.Revision()
	s.Members = nil
	for _, m := range v.Members() {
		s.Members = append(s.Members, StatedMember{Cluster: m.Cluster, Region: m.Region, Member: m.ID, Voter: slices.Contains(voters, m.ID)})
	}
	slices.SortFunc(s.Members, func(a, b StatedMember) int { return cmp.Compare(a.Cluster, b.Cluster) })
	return s
}

// Recovery is what a person says a recovery is to be made from.
type Recovery struct {
	// Mine is the statement of the member that is to go on.
	Mine Statement
	// Survivors are the statements of the others that are there.
	Survivors []Statement
	// Fenced are the clusters whose members are lost, and of which a person says that they cannot come back by themselves.
	Fenced []string
}

// Lost are the clusters whose members have made no statement, with or without a person's word that they are fenced off.
func (r Recovery) Lost() (names []string) {
	for _, m := range r.Mine.Members {
		if m.Member != r.Mine.Member && r.survivor(m.Member) == nil {
			names = append(names, m.Cluster)
		}
	}
	return names
}

func (r Recovery) survivor(id store.MemberID) *Statement {
	for i := range r.Survivors {
		if r.Survivors[i].Member == id {
			return &r.Survivors[i]
		}
	}
	return nil
}

// Check says why the recovery must not be made, or nil. It is the same whoever asks: a function of what was said.
func (r Recovery) Check() error {
	for _, s := range r.Survivors {
		if err := r.comparable(s); err != nil {
			return err
		}
	}
	if err := r.majorityIsLost(); err != nil {
		return err
	}
	if best := r.mostAdvanced(); best.Member != r.Mine.Member {
		return fmt.Errorf("%s is further: its log ends at term %d, index %d, the one of %s at term %d, index %d; recover there, with the statement of this one",
			best.Cluster, best.LastTerm, best.LastIndex, r.Mine.Cluster, r.Mine.LastTerm, r.Mine.LastIndex)
	}
	return r.everyoneIsAccountedFor()
}

// comparable says that a statement is of the same epoch, so that terms and indexes can be compared.
func (r Recovery) comparable(s Statement) error {
	switch {
	case s.Fleet != r.Mine.Fleet:
		return fmt.Errorf("the statement of %s is of fleet %s, this is fleet %s", s.Cluster, s.Fleet, r.Mine.Fleet)
	case s.Member == r.Mine.Member:
		return fmt.Errorf("a statement is of this member itself, %s; give those of the others", s.Cluster)
	case s.Epoch > r.Mine.Epoch:
		return fmt.Errorf("%s is in epoch %d already, and this member in epoch %d: it has gone on without this one; let %s join there, with a fresh --data-dir", s.Cluster, s.Epoch, r.Mine.Epoch, r.Mine.Cluster)
	case s.Epoch < r.Mine.Epoch:
		return fmt.Errorf("%s is left from epoch %d, this member is in epoch %d; leave its statement out, and let it join again", s.Cluster, s.Epoch, r.Mine.Epoch)
	case s.EpochID != r.Mine.EpochID:
		return fmt.Errorf("%s and %s have each gone on alone, into two epochs %d: nothing decides between them but a person; one of the two must join the other with a fresh --data-dir", s.Cluster, r.Mine.Cluster, s.Epoch)
	}
	return nil
}

// majorityIsLost holds the statements against the voters that the most advanced survivor knows.
func (r Recovery) majorityIsLost() error {
	voters, here := 0, []string{}
	for _, m := range r.mostAdvanced().Members {
		if !m.Voter {
			continue
		}
		voters++
		if m.Member == r.Mine.Member || r.survivor(m.Member) != nil {
			here = append(here, m.Cluster)
		}
	}
	if voters > 0 && len(here) > voters/2 {
		return fmt.Errorf("the majority is not lost: %d of %d voters are here (%s); start their agents, and they go on by themselves", len(here), voters, strings.Join(here, ", "))
	}
	return nil
}

func (r Recovery) mostAdvanced() Statement {
	best := r.Mine
	for _, s := range r.Survivors {
		if cmp.Or(cmp.Compare(s.LastTerm, best.LastTerm), cmp.Compare(s.LastIndex, best.LastIndex)) > 0 {
			best = s
		}
	}
	return best
}

// everyoneIsAccountedFor says that each other member made a statement or is fenced off.
func (r Recovery) everyoneIsAccountedFor() error {
	lost := r.Lost()
	for _, name := range r.Fenced {
		if slices.Contains(lost, name) {
			continue
		}
		if name == r.Mine.Cluster || slices.ContainsFunc(r.Mine.Members, func(m StatedMember) bool { return m.Cluster == name }) {
			return fmt.Errorf("%s is said to be fenced off, and is here", name)
		}
		return fmt.Errorf("%s is said to be fenced off, and is no member that %s knows", name, r.Mine.Cluster)
	}
	lost = slices.DeleteFunc(lost, func(name string) bool { return slices.Contains(r.Fenced, name) })
	if len(lost) > 0 {
		return &UnfencedError{Clusters: lost}
	}
	return nil
}

// UnfencedError means that nobody has said of some members that they cannot come back by themselves.
type UnfencedError struct{ Clusters []string }

func (e *UnfencedError) Error() string {
	return fmt.Sprintf("not known to be fenced off: %s", strings.Join(e.Clusters, ", "))
}
