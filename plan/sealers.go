package plan

import (
	"iter"
	"slices"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// SealWork is what is to be done about one revision of a secret.
type SealWork int

// What a member does: nothing; look how a revision is sealed, and seal it again if need be; open what another one sealed again; or nothing yet.
const (
	SealKept SealWork = iota
	SealAgain
	SealConfirm
	SealWaits
)

// Sealers are who keeps what is sealed for a group sealed to its present key.
type Sealers struct {
	group   string
	epoch   int64
	holders []string
	readers v1alpha1.Readers
	// heldUp says that somebody holds the present key who may not read: nothing is sealed to that any more.
	heldUp bool
	self   string
	there  func(cluster string) bool
}

// SealersOf a group.
func SealersOf(g *v1alpha1.RecipientGroup, of Candidates, self string, there func(cluster string) bool) (Sealers, error) {
	all, err := readersOf(g, of)
	if err != nil {
		return Sealers{}, err
	}
	return Sealers{group: g.Name, epoch: g.Status.Epoch, holders: all.Holders(g), readers: all, heldUp: g.Lost(all.Reads) != "", self: self, there: there}, nil
}

// Holds says whether the member holds the key.
func (s Sealers) Holds() bool { return slices.Contains(s.holders, s.self) }

// Seeing are the same sealers, when others are there.
func (s Sealers) Seeing(there func(cluster string) bool) Sealers {
	s.there = there
	return s
}

// SealDue is what those who hold the key of a group are to do about a revision: look how it is sealed, or confirm what By sealed again; SealKept: nothing.
type SealDue struct {
	Work SealWork
	By   string
}

// SealDueOf is what is due about a revision at an epoch of its group's key, by what is known of how that is sealed, nil for nothing. A group that has had one key
// only has nothing that is sealed to another, and nothing is to be told but of what was sealed for another group before: moved.
func SealDueOf(epoch int64, known *v1alpha1.Sealing, moved bool) SealDue {
	switch {
	case epoch < 2 && !moved:
		return SealDue{}
	case known == nil || known.Epoch < epoch:
		return SealDue{Work: SealAgain}
	case known.Unseen():
		return SealDue{SealConfirm, known.By}
	}
	return SealDue{}
}

// Work is what the member is to do about what is due. What waits does so for the cluster whose turn it is, "" for none.
func (s Sealers) Work(due SealDue) (work SealWork, on string) {
	var of []string
	switch due.Work {
	case SealAgain:
		of = s.holders
	case SealConfirm:
		of = witnesses(s.holders, due.By, s.readers.Only(due.By))
	default:
		return SealKept, ""
	}
	if s.heldUp { // that is a matter of the key
		return SealWaits, ""
	}
	if on = turn(of, s.self, s.there); on != s.self {
		return SealWaits, on
	}
	return due.Work, ""
}

// Waiting are the clusters whose turn it is to seal again something that is due, and to confirm it, and how much of that each has done with the present key, as
// what is told of revisions says.
func (s Sealers) Waiting(all iter.Seq2[SealDue, map[string]bool], told iter.Seq[*v1alpha1.Sealing]) (seal, confirm map[string]int) {
	seal, confirm = map[string]int{}, map[string]int{}
	for due := range all {
		if work, on := s.Work(due); work != SealWaits || on == "" {
			continue
		} else if due.Work == SealAgain {
			seal[on] = 0
		} else {
			confirm[on] = 0
		}
	}
	if len(seal)+len(confirm) == 0 {
		return seal, confirm
	}
	did := func(done map[string]int, cluster string) {
		if _, waits := done[cluster]; waits {
			done[cluster]++
		}
	}
	for known := range told {
		switch {
		case known.Group != s.group || known.Epoch != s.epoch:
			continue
		case known.Instead == "":
			did(seal, known.By)
		default: // it was to confirm it
			did(confirm, known.By)
		}
		did(confirm, known.Confirmed)
	}
	return seal, confirm
}
