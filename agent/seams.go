package agent

import (
	"net"
	"net/http"
	"time"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/internal/fault"
	"github.com/hanse-fleet/hanse/law"
	"github.com/hanse-fleet/hanse/plan"
	"github.com/hanse-fleet/hanse/report"
	"github.com/hanse-fleet/hanse/transport"
)

// Seams are where a simulation stands between the rooms of a Core. The zero value stands nowhere, and is what is shipped.
type Seams struct {
	// Authorizer goes between the store and the law, Directory between the transport and what the log says of pins.
	Authorizer func(law.Authority) store.Authorizer
	Directory  func(transport.Directory) transport.Directory
	// Heard is told of every read of a stream that another member opened, when it is handed to whom it is for.
	Heard func(from store.MemberID)
	// Clock is the member's wall clock, which may be wrong, and jump; nil: time.Now. Only what is written down, or compared
	// with what was, is read from it.
	Clock func() time.Time
	// Quota of each other member when this one leads; zero: consensus.DefaultQuota.
	Quota consensus.Quota
	// SnapshotThreshold and TrailingLogs are consensus.Config's: small ones make snapshots happen in a short life.
	SnapshotThreshold, TrailingLogs uint64
	// S3 carries what a member asks of S3; nil: the network.
	S3 http.RoundTripper
	// Decide stands in the place of plan.Decide; nil: that.
	Decide func(plan.Situation) []plan.Step
	// Alone lets the member believe, where it keeps keys, that no other one is there: it is always its turn.
	Alone bool
	// Faults are known bugs, put back.
	Faults fault.Set
}

func (s Seams) clock() func() time.Time {
	if s.Clock == nil {
		return time.Now
	}
	return s.Clock
}

func (s Seams) authorizer(l law.Authority) store.Authorizer {
	if s.Authorizer == nil {
		return l
	}
	return s.Authorizer(l)
}

// handler tells Heard what a handler reads.
func (s Seams) handler(h transport.Handler) transport.Handler {
	if s.Heard == nil {
		return h
	}
	return func(peer transport.MemberID, conn net.Conn) {
		h(peer, heard{Conn: conn, by: func() { s.Heard(store.MemberID(peer)) }})
	}
}

// heard is a stream whose reads are told.
type heard struct {
	net.Conn
	by func()
}

func (h heard) Read(b []byte) (int, error) {
	n, err := h.Conn.Read(b)
	if n > 0 {
		h.by()
	}
	return n, err
}

func (s Seams) directory(d transport.Directory) transport.Directory {
	if s.Directory == nil {
		return d
	}
	return s.Directory(d)
}

// Peers are the members that this one has a connection with.
func (c *Core) Peers() []transport.PeerState { return c.endpoint.Peers() }

// Tell replaces what this member says of the bundles in its own cluster, for a Core that has none.
func (c *Core) Tell(bundles map[string]v1alpha1.WorkStatus) {
	var all []report.Bundle
	for name, status := range bundles {
		all = append(all, report.Bundle{Bundle: name, Status: status})
	}
	c.reports.Tell(all)
}

// Told is what a member's cluster says of a bundle, as far as it was heard here.
func (c *Core) Told(member store.MemberID, bundle string) (v1alpha1.WorkStatus, bool) {
	seen, _, _ := c.reports.Seen()
	r, ok := seen[member].Bundles[bundle]
	return r.Status, ok
}
