package consensus

import (
	"fmt"
	"slices"

	"github.com/hashicorp/raft"
)

// change is one step from raft's configuration towards the membership.
type change struct {
	action changeAction
	id     MemberID
}

type changeAction uint8

const (
	changeNone changeAction = iota
	changeAdd               // as a non-voter
	changePromote
	changeDemote
	changeRemove
	changeTransfer // give up the leadership to id
)

func (c change) String() string {
	verb := [...]string{"none", "add", "promote", "demote", "remove", "transfer to"}[c.action]
	return fmt.Sprintf("%s %s", verb, c.id)
}

// configuration is what nextChange decides on: raft's servers, the members of the store, and who is to vote.
type configuration struct {
	self    MemberID
	servers map[MemberID]bool // true: votes
	members []MemberID
	// wanted and standbys are those of the members that should vote, and that should be servers without a vote. No
	// wanted: all as they are.
	wanted, standbys []MemberID
	alive            func(id MemberID) bool // in contact with the leader now
	ready            func(id MemberID) bool // stable: may be promoted, or be handed the leadership
}

func serversOf(c raft.Configuration) map[MemberID]bool {
	m := make(map[MemberID]bool, len(c.Servers))
	for _, s := range c.Servers {
		m[MemberID(s.ID)] = s.Suffrage == raft.Voter
	}
	return m
}

// nextChange is the one change to make now. Since it looks only at where things stand, whoever leads next goes on
// where the last leader stopped. The order is: oneself out when one is no member any more, who is wanted in, voters put
// right, who is not wanted out, oneself last.
func (c configuration) nextChange() change {
	steps := []func() change{c.leave, c.addWanted, c.demoteRemoved, c.balanceVoters, c.removeIdle, c.stepAside}
	for _, step := range steps {
		if ch := step(); ch.action != changeNone {
			return ch
		}
	}
	return change{}
}

// addWanted takes in, without a vote, who is to vote or to stand by. All others follow.
func (c configuration) addWanted() change {
	if len(c.wanted) == 0 {
		return change{}
	}
	for _, id := range slices.Concat(c.wanted, c.standbys) {
		if _, in := c.servers[id]; !in && slices.Contains(c.members, id) {
			return change{changeAdd, id}
		}
	}
	return change{}
}

// demoteRemoved takes the vote of a voter that is no longer a member, before it is removed, as long as those who stay
// can still decide.
func (c configuration) demoteRemoved() change {
	for _, id := range c.voters() {
		if id != c.self && !slices.Contains(c.members, id) && c.quorumWithout(id) {
			return change{changeDemote, id}
		}
	}
	return change{}
}

// balanceVoters takes the vote of the dead first, which costs nothing. Of the living it promotes the newcomer before it
// demotes whose place that one takes: in between there is a voter more, and a region can be lost that could be before
// and can be after. With a voter less it could not: of two voters, none.
func (c configuration) balanceVoters() change {
	if len(c.wanted) == 0 {
		return change{}
	}
	dead := func(id MemberID) bool { return !c.alive(id) }
	if ch := c.demoteUnwanted(dead); ch.action != changeNone {
		return ch
	}
	if len(c.voters()) <= len(c.wanted) {
		for _, id := range c.wanted {
			if votes, in := c.servers[id]; in && !votes && c.ready(id) {
				return change{changePromote, id}
			}
		}
		return change{} // who is to come is not ready
	}
	return c.demoteUnwanted(func(MemberID) bool { return true })
}

func (c configuration) demoteUnwanted(which func(MemberID) bool) change {
	for _, id := range c.voters() {
		if id != c.self && !slices.Contains(c.wanted, id) && which(id) && c.quorumWithout(id) {
			return change{changeDemote, id}
		}
	}
	return change{}
}

// removeIdle takes out who neither votes nor is to: members that are gone, and those that follow from now on.
func (c configuration) removeIdle() change {
	for _, id := range sortedKeys(c.servers) {
		idle := len(c.wanted) > 0 && !slices.Contains(c.wanted, id) && !slices.Contains(c.standbys, id)
		if !c.servers[id] && (idle || !slices.Contains(c.members, id)) {
			return change{changeRemove, id}
		}
	}
	return change{}
}

// leave hands the leadership on before anything else when this leader is no member any more: it may end at any moment,
// and should not do so in the middle of a change that leaves no one to spare.
func (c configuration) leave() change {
	if slices.Contains(c.members, c.self) {
		return change{}
	}
	if ch := c.handOver(c.stays); ch.action != changeNone {
		return ch
	}
	return c.handOver(c.alive)
}

// stepAside hands the leadership on when this leader is not to vote; the next one demotes and removes it.
func (c configuration) stepAside() change {
	if len(c.wanted) == 0 || slices.Contains(c.wanted, c.self) {
		return change{}
	}
	return c.handOver(c.stays) // to another one it would only come back
}

// handOver picks another voter.
func (c configuration) handOver(fit func(MemberID) bool) change {
	for _, id := range c.voters() {
		if id != c.self && slices.Contains(c.members, id) && fit(id) {
			return change{changeTransfer, id}
		}
	}
	return change{}
}

// stays says that a voter is there, and is to vote on.
func (c configuration) stays(id MemberID) bool { return slices.Contains(c.wanted, id) && c.ready(id) }

// quorumWithout says whether the voters other than id that are alive could still decide.
func (c configuration) quorumWithout(id MemberID) bool {
	voters, alive := 0, 0
	for _, v := range c.voters() {
		if v == id {
			continue
		}
		voters++
		if v == c.self || c.alive(v) {
			alive++
		}
	}
	return alive > voters/2
}

func (c configuration) voters() []MemberID {
	var out []MemberID
	for _, id := range sortedKeys(c.servers) {
		if c.servers[id] {
			out = append(out, id)
		}
	}
	return out
}

func sortedKeys(m map[MemberID]bool) []MemberID {
	keys := make([]MemberID, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
