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
	// ErrStaleTerm is the outcome of a leader's decision that reached the log in a term, or an epoch, that is not that
	// leader's.
	ErrStaleTerm = errors.New("decided by a leader of another term")
	// ErrTooOld answers a repeated command whose outcome is no longer remembered. It may have been applied before.
	ErrTooOld = errors.New("outcome of the command is no longer known")
	// ErrNewerVersion means that an entry or a snapshot was written by a newer version: nothing of it was applied,
	// and nothing after it may be.
	ErrNewerVersion = errors.New("written by a newer version")
	// ErrMalformed means that bytes are no entry or no snapshot. Nothing of them was applied.
	ErrMalformed = errors.New("malformed")
	// ErrTooLarge means that commands do not fit into one entry.
	ErrTooLarge = errors.New("too large for a log entry")
)
