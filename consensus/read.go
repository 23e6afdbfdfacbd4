package consensus

import (
	"context"
	"fmt"
	"net"

	"github.com/hashicorp/raft"

	"github.com/hanse-fleet/hanse/consensus/store"
)

// Read returns a revision that the local store has reached and that is at least as new as every write acknowledged
// anywhere before the call. It fails with store.ErrNoQuorum when no leader was able to say so before ctx ended.
func (n *Node) Read(ctx context.Context) (store.Revision, error) {
	if err := n.enter(); err != nil {
		return 0, err
	}
	defer n.leave()
	ctx, cancel := n.bound(ctx)
	defer cancel()
	retry := n.newRetry()
	var last error
	for {
		r, err := n.readOnce(ctx)
		if err == nil {
			return r, nil
		}
		last = err
		if !retry.wait(ctx) {
			return 0, fmt.Errorf("%w: %w", store.ErrNoQuorum, last)
		}
	}
}

func (n *Node) readOnce(ctx context.Context) (store.Revision, error) {
	if n.answersReads() {
		return n.readLocally(ctx)
	}
	r, err := n.asks.wait(ctx)
	if err != nil {
		return 0, err
	}
	if err := n.cfg.Store.WaitFor(ctx, r); err != nil {
		return 0, fmt.Errorf("wait for revision %d: %w", r, err)
	}
	return r, nil
}

// askLeader asks for a revision on behalf of all who wait here.
func (n *Node) askLeader() (store.Revision, error) {
	leader, _, ok := n.Leader()
	if !ok || leader == n.cfg.ID {
		return 0, errNoLeader
	}
	ctx, cancel := context.WithTimeout(n.ctx, n.cfg.Timing.DataRPC)
	defer cancel()
	var a readAnswer
	if _, err := n.reads.call(ctx, leader, readRequest{Version: frameVersion}, &a); err != nil {
		n.reads.drop(leader)
		return 0, err
	}
	return a.Revision, a.Code.err()
}

// answersReads says whether reads are this node's to answer: it leads.
func (n *Node) answersReads() bool {
	return n.leading() != nil || n.cfg.Faults.ReadApplied && n.raft.State() == raft.Leader
}

// readLocally is Read on the leader: whatever was acknowledged before a round started is applied when it ends.
func (n *Node) readLocally(ctx context.Context) (store.Revision, error) {
	if n.cfg.Faults.ReadApplied {
		return n.cfg.Store.View().Revision(), nil
	}
	return n.indexes.wait(ctx)
}

// serveRead answers the reads of one stream.
func (n *Node) serveRead(_ MemberID, c net.Conn) {
	n.serve(c, func() error {
		var r readRequest
		if err := readFrame(c, &r); err != nil {
			return err
		}
		a := readAnswer{Code: codeNotLeading}
		if n.answersReads() {
			if revision, err := n.readLocally(n.ctx); err == nil {
				a = readAnswer{Code: codeDone, Revision: revision}
			}
		}
		return writeFrame(c, a)
	})
}
