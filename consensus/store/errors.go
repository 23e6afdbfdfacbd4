package store

import "errors"

var (
	// ErrNoQuorum means that a write was surely not made, or a linearizable read not possible: no leader was
	// reached in time.
	ErrNoQuorum = errors.New("no quorum")
	// ErrUncertain means that a write may or may not have been made. Repeating it is safe.
	ErrUncertain = errors.New("not known whether it was written")
	// ErrCompacted means that the history no longer reaches back to the revision asked for.
	ErrCompacted = errors.New("revision is no longer in the history")
	// ErrFuture means that the revision asked for does not exist yet.
	ErrFuture = errors.New("revision is in the future")
)
