// Package fault names the known bugs that tests can put back where no seam lets them stand between the rooms: to show
// that the answer to each is needed, and that the simulator catches it. A constructor takes a Set; its zero value is
// off. Nothing that is shipped makes another one: there is no flag, file or variable for it, and the import rules keep
// it out of cmd.
package fault

// Set says which bugs are put back.
type Set struct {
	// HeartbeatFastPath lets raft handle heartbeats beside its main loop (hashicorp/raft issue 695).
	HeartbeatFastPath bool
	// VerifyLeader reads after raft's VerifyLeader, which takes old answers, instead of a round of our own.
	VerifyLeader bool
	// ReadApplied reads what a member that believes to lead has applied, instead of asking anybody.
	ReadApplied bool
	// NoNudge leaves it to the commit timeout to tell followers of a commit.
	NoNudge bool
	// NoGuard gives errors of the disk to raft.
	NoGuard bool
	// NoChecksums believes whatever the disk gives back.
	NoChecksums bool
	// AckBeforeSync lets a leader count its own entries as written, and acknowledge them, while they are on their way to
	// its disk.
	AckBeforeSync bool
	// AdmitAll lets everyone speak raft, in any name.
	AdmitAll bool
	// FreshSequence gives every attempt of a proposal a new sequence number.
	FreshSequence bool
	// LostLog lets a member whose log is gone start, and vote, as the incarnation that it was.
	LostLog bool
	// WatchSkips makes a watch begin one revision later than where it was asked to.
	WatchSkips bool
	// RevisionReused makes the counter of revisions one too low when a snapshot is restored.
	RevisionReused bool
	// NoJump lets a new epoch count on from the revision that its state has, as if nobody had written more.
	NoJump bool
	// HastyChoice lets a leader that has just been elected count voters that it has not heard yet as alive and well.
	HastyChoice bool

	// NextVersion is no bug: it is a program that can apply one version of the log more than this one, for tests of
	// fleets that are upgraded.
	NextVersion bool
}
