// Package trouble says in the log what keeps something from being done that is tried again and again: once for as long as it is the same.
package trouble

import (
	"log/slog"
	"sync"
)

// Trouble is what kept one thing from being done when it was tried last. The zero value is none.
type Trouble struct {
	mu  sync.Mutex
	why string
}

// Tell logs what a try came to, unless the one before came to the same: message, which says what is not done, with err, or that this is over.
func (t *Trouble) Tell(log *slog.Logger, message string, err error, about ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	was := t.why
	if t.why = ""; err != nil {
		t.why = err.Error()
	}
	switch {
	case t.why == was:
	case err != nil:
		log.Warn(message, append(about, "err", err)...)
	default:
		log.Info("over: "+message, append(about, "was", was)...)
	}
}
