// Package consensus replicates a store.Store among the members of a fleet, on hashicorp/raft. Any member takes a
// write and hands it to the leader; reads are linearizable; raft's configuration follows the membership that the
// store holds. It knows members and byte streams between them, not how these are carried.
//
// DESIGN.md beside this file tells the path of a write and of a read, the goroutines, and the known faults of
// hashicorp/raft with our answers to them.
package consensus
