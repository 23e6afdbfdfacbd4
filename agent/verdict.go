package agent

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/transport"
)

// verdict collects who says that this member was removed. One peer may be wrong, or lie; the member believes it
// once a majority of the voters that it knows say so.
type verdict struct {
	voters func() []transport.MemberID
	fallen chan struct{} // closed once it is believed
	mu     sync.Mutex
	said   map[transport.MemberID]bool
	done   bool
}

func newVerdict(voters func() []transport.MemberID) *verdict {
	return &verdict{voters: voters, fallen: make(chan struct{}), said: map[transport.MemberID]bool{}}
}

// heard is called by transport for each connection that a peer ended with `removed`.
func (v *verdict) heard(by transport.MemberID) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.said[by] = true
	if v.done || !majority(v.voters(), v.said) {
		return
	}
	v.done = true
	close(v.fallen)
}

// sayers are those who say so.
func (v *verdict) sayers() []transport.MemberID {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Sorted(maps.Keys(v.said))
}

// heardRemoved tells people once who says so: while no majority does, this member waits, and they should know why.
func (c *Core) heardRemoved(by transport.MemberID) {
	if !slices.Contains(c.verdict.sayers(), by) {
		c.log.Warn("a member says that this one was removed", "by", c.clusterOf(by))
	}
	c.verdict.heard(by)
}

func (c *Core) clusterOf(id transport.MemberID) string {
	if m, ok := c.store.View().Member(store.MemberID(id)); ok {
		return m.Cluster
	}
	return string(id)
}

// outdated is what people are told on a member that others have gone on without.
func (c *Core) outdated() string {
	var names []string
	for _, id := range c.verdict.sayers() {
		names = append(names, c.clusterOf(id))
	}
	if len(names) == 0 {
		return ""
	}
	return fmt.Sprintf("%s says that this member was removed, perhaps by a recovery that went on without it; to come back: hanse token create --cluster %s there, and hanse join here with a fresh --data-dir",
		strings.Join(names, ", "), c.self.Cluster)
}

func majority(voters []transport.MemberID, said map[transport.MemberID]bool) bool {
	n := 0
	for _, id := range voters {
		if said[id] {
			n++
		}
	}
	return n > len(voters)/2
}

// knownVoters are the voters without this member: it has no say in its own removal. A member that does not know
// the voters yet takes everyone for one.
func (c *Core) knownVoters() []transport.MemberID {
	var voters []transport.MemberID
	if c.opened() {
		for _, id := range c.node.Status().Voters {
			if id != c.id() {
				voters = append(voters, transport.MemberID(id))
			}
		}
	}
	if len(voters) == 0 {
		for id := range c.directory.others() {
			voters = append(voters, transport.MemberID(id))
		}
	}
	return voters
}
