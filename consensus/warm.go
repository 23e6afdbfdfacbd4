package consensus

import (
	"context"
	"sync"
)

// routineWarm keeps this voter's ways to the other voters open. Raft speaks only between the leader and the others; when
// the leader dies, two that never spoke would first have to connect, several round trips before they can vote.
func (n *Node) routineWarm() {
	for n.ctx.Err() == nil {
		if servers := n.servers(); servers[n.cfg.ID] {
			n.warm(servers)
		}
		n.pause(n.ctx, 2*n.cfg.Timing.Stable)
	}
}

// warm opens, and closes again, a stream of each class to each other voter. Where there is a connection that costs
// nothing.
func (n *Node) warm(servers map[MemberID]bool) {
	ctx, cancel := context.WithTimeout(n.ctx, n.cfg.Timing.ControlRPC)
	defer cancel()
	var open sync.WaitGroup
	for id, votes := range servers {
		if !votes || id == n.cfg.ID {
			continue
		}
		for class, kind := range map[Class]string{Control: kindRaftControl, Data: kindRaftData} {
			open.Go(func() {
				if c, err := n.cfg.Network.Open(ctx, id, class, kind); err == nil {
					c.Close()
				}
			})
		}
	}
	open.Wait()
}
