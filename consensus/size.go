package consensus

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

// raft bounds its log by the number of entries, and one may hold the writes of hundreds of clients. So the bytes are
// counted, too: when the log has grown by so many since that was last so, there is a snapshot, and fewer entries stay behind
// it, until the log rests.

// LogSize bounds the log in bytes.
type LogSize struct {
	// Growth is what may be appended before a snapshot is taken, Kept about what stays behind it for members that are
	// behind.
	Growth, Kept int64
}

// DefaultLogSize keeps the log's file, which is mapped into memory, below about a hundred megabytes.
func DefaultLogSize() LogSize { return LogSize{Growth: 64 << 20, Kept: 16 << 20} }

const (
	// weighing is how often the log's growth is looked at.
	weighing = time.Second
	// fewestTrailing entries stay in the log however large they are.
	fewestTrailing = 64
)

// growth counts what was appended.
type growth struct{ bytes, entries atomic.Int64 }

// size is of a stretch of the log.
type size struct{ bytes, entries int64 }

func (g *growth) add(logs []*raft.Log) {
	for _, l := range logs {
		g.bytes.Add(int64(len(l.Data)))
	}
	g.entries.Add(int64(len(logs)))
}

func (g *growth) size() size { return size{g.bytes.Load(), g.entries.Load()} }

// routineShrink takes a snapshot whenever the log has grown too large for its number of entries, and one after a start that
// found a long log.
func (n *Node) routineShrink() {
	var cut, before size // at the last snapshot of this, and at the last look
	for n.ctx.Err() == nil {
		n.pause(n.ctx, weighing)
		n.shrinkAfterStart()
		now := n.logs.appended.size()
		rests := now == before
		before = now
		grown := size{now.bytes - cut.bytes, now.entries - cut.entries}
		if grown.bytes < n.cfg.LogSize.Growth {
			if rests {
				n.leaveTrailing(n.cfg.TrailingLogs)
			}
			continue
		}
		cut = now
		n.leaveTrailing(trailing(n.cfg.LogSize.Kept, grown, n.cfg.TrailingLogs))
		if err := n.takeSnapshot(); err != nil {
			n.cfg.Logger.Warn("log is large, and no snapshot was taken", "bytes", grown.bytes, "error", err)
		}
	}
}

// shrinkAfterStart takes a snapshot when the start found as many entries behind the last one as make a snapshot, and all of
// them are applied again. raft looks only once in a while: a member that is started again and again would never live to
// see it, and have a longer log to read each time.
func (n *Node) shrinkAfterStart() {
	if n.longStart == 0 || n.raft.AppliedIndex() < n.longStart {
		return
	}
	if err := n.takeSnapshot(); err != nil {
		n.cfg.Logger.Debug("no snapshot after the start yet", "error", err)
		return
	}
	n.longStart = 0
}

// takeSnapshot has raft take one, if there is anything new.
func (n *Node) takeSnapshot() error {
	if err := n.await(n.raft.Snapshot()); !errors.Is(err, raft.ErrNothingNewToSnapshot) {
		return err
	}
	return nil
}

// longAtStart is the last entry of a log that is long enough for a snapshot when the node starts, else 0.
func (n *Node) longAtStart() uint64 {
	last := n.raft.LastIndex()
	if last-n.raft.AppliedIndex() < n.cfg.SnapshotThreshold {
		return 0
	}
	return last
}

// trailing is how many entries stay behind a snapshot when the last ones were so large.
func trailing(kept int64, grown size, most uint64) uint64 {
	fit := uint64(kept * grown.entries / grown.bytes)
	return min(max(fit, fewestTrailing), most)
}

func (n *Node) leaveTrailing(entries uint64) {
	n.pace.mu.Lock()
	defer n.pace.mu.Unlock()
	c := n.raft.ReloadableConfig()
	if c.TrailingLogs == entries {
		return
	}
	c.TrailingLogs = entries
	if err := n.raft.ReloadConfig(c); err != nil {
		n.cfg.Logger.Error("length of the log not changed", "entries", entries, "error", err)
	}
}
