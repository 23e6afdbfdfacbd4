package consensus

// turn is a lock that is held over time, as during a write to a slow disk. A sync.Mutex would do, but for tests in
// virtual time: there the clock stands still while anybody waits for one.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

// Lock waits for the turn.
func (t turn) Lock() { t <- struct{}{} }

// Unlock ends it.
func (t turn) Unlock() { <-t }
