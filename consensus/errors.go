package consensus

import (
	"errors"

	"github.com/hanse-fleet/hanse/consensus/store"
)

var (
	// ErrNoQuorum: a proposal was surely not written, or a read not possible, before its context ended.
	ErrNoQuorum = store.ErrNoQuorum
	// ErrUncertain: a proposal may or may not have been written when its context ended. Repeating it is safe.
	ErrUncertain = store.ErrUncertain
	// ErrClosed: the node is closed or closing.
	ErrClosed = errors.New("consensus is closed")
)

var (
	// errNotLeading: this member does not lead, or not with a quorum. Surely nothing was appended.
	errNotLeading = errors.New("this member does not lead")
	// errNoLeader: no leader is known. Surely nothing was appended.
	errNoLeader = errors.New("no leader is known")
	// errDoubt: it was appended, and may or may not be applied.
	errDoubt = errors.New("the answer was lost")
	// errRefused: surely nothing was appended, nor will be.
	errRefused = errors.New("the leader refused the request")

	errNoHeader = errors.New("raft rpc without a header")
)
