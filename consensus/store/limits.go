package store

import "time"

// released is the newest version that a program can apply which people get.
const released = 1

// The limits of what a store holds. They are part of the log's meaning: every member must refuse the same
// commands, so none of them may change without a new Version.
const (
	// Version is the newest version of commands that this code can apply.
	Version = released + ahead

	// MaxEntry is the size of an encoded log entry, as it is before it is compressed.
	MaxEntry = 256 << 10
	// MaxCommands is how many commands one entry may hold.
	MaxCommands = 4096
	// MaxKey is the length of a key or prefix in bytes.
	MaxKey = 512
	// MaxOps is how many conditions, and how many ops, a transaction may have.
	MaxOps = 4096
	// MaxInline is the size up to which Split leaves a value whole.
	MaxInline = 64 << 10
	// MaxChunk is the size of one chunk.
	MaxChunk = 128 << 10
	// MaxValue is the size of one value, chunked or not.
	MaxValue = 16 << 20
	// MaxTxn is the size of all values that one transaction writes.
	MaxTxn = 64 << 20
	// MaxReason is the length that the reason of a Forbidden or Invalid is cut to. A member's session remembers 1,024 of them.
	MaxReason = 512

	// Window is how many sequence numbers back the outcomes of a member's commands are remembered. A member must
	// not have two commands under way that are further apart.
	Window = 1024
	// MaxSessions is how many incarnations can have remembered outcomes while there are no members yet; after
	// that only members have them.
	MaxSessions = 4096
	// MaxMembers is how many members a fleet can have.
	MaxMembers = 4096
	// MaxRecent is how many changes of keys are kept to judge PrefixUnchanged by.
	MaxRecent = 16384

	// MaxLoose is how many bytes of chunks may wait for a transaction that refers to them; the oldest go first.
	MaxLoose = 64 << 20
	// LooseTime is how long a chunk waits for a transaction that refers to it.
	LooseTime = 10 * time.Minute
)

// The history is each member's own and not part of the replicated state, so its bounds may differ.
const (
	maxHistoryEvents = 65536
	maxHistoryBytes  = 64 << 20
)
