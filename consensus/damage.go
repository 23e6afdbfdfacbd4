package consensus

import "fmt"

// DamagedError means that the disk gives back something else than was written to it. The node serves and sends nothing
// of it, and mends nothing: only bbolt's empty transaction at its opening may have been added. Its member comes back
// with a fresh data directory, as a new incarnation.
type DamagedError struct {
	// What is damaged: "log", "values" (raft's term and vote are among them) or "snapshot".
	What string
	// Where in it: an entry, a key, a snapshot's name, a page of the file.
	Where string
	// Why it is believed.
	Why string
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("the %s on the disk is damaged at %s: %s", e.What, e.Where, e.Why)
}

func damagedLog(index uint64, why string, args ...any) error {
	return &DamagedError{What: "log", Where: fmt.Sprintf("entry %d", index), Why: fmt.Sprintf(why, args...)}
}

func damagedValues(where, why string, args ...any) error {
	return &DamagedError{What: "values", Where: where, Why: fmt.Sprintf(why, args...)}
}

func damagedSnapshot(id, why string, args ...any) error {
	return &DamagedError{What: "snapshot", Where: id, Why: fmt.Sprintf(why, args...)}
}
