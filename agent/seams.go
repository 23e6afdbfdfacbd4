package agent

import (
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/internal/fault"
	"github.com/hanse-fleet/hanse/transport"
)

// Seams are where a simulation stands between the rooms of a Core. The zero value stands nowhere, and is what is shipped.
type Seams struct {
	// Authorizer goes between the store and the law, Directory between the transport and what the log says of pins.
	Authorizer func(store.Authorizer) store.Authorizer
	Directory  func(transport.Directory) transport.Directory
	// SnapshotThreshold and TrailingLogs are consensus.Config's: small ones make snapshots happen in a short life.
	SnapshotThreshold, TrailingLogs uint64
	// Faults are known bugs, put back.
	Faults fault.Set
}

func (s Seams) authorizer(law store.Authorizer) store.Authorizer {
	if s.Authorizer == nil {
		return law
	}
	return s.Authorizer(law)
}

func (s Seams) directory(d transport.Directory) transport.Directory {
	if s.Directory == nil {
		return d
	}
	return s.Directory(d)
}
