package law

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/hanse-fleet/hanse/consensus/store"
)

// Amend is the op that writes a value anew, changed from before to after as this program knows it. What did not change
// stays as it was written, byte for byte; so does what the program does not know because a later version wrote it, but
// not inside of lists that changed.
func Amend(kv store.KV, before, after any) (store.Op, error) {
	was, err := json.Marshal(before)
	if err != nil {
		return store.Op{}, fmt.Errorf("amend %s: %w", Thing(kv.Key), err)
	}
	will, err := json.Marshal(after)
	if err != nil {
		return store.Op{}, fmt.Errorf("amend %s: %w", Thing(kv.Key), err)
	}
	return Put(kv.Key, amend(kv.Value, was, will))
}

// amend is a value, changed from before to after. What is no object is replaced.
func amend(value, before, after json.RawMessage) json.RawMessage {
	var whole, was, will map[string]json.RawMessage
	if bytes.Equal(before, after) {
		return value
	}
	if json.Unmarshal(value, &whole) != nil || json.Unmarshal(after, &will) != nil || whole == nil || will == nil {
		return after
	}
	if json.Unmarshal(before, &was) != nil {
		was = nil // nothing was known of it
	}
	for name := range was {
		if _, stays := will[name]; !stays {
			delete(whole, name)
		}
	}
	for name, next := range will {
		if old, there := whole[name]; there {
			next = amend(old, was[name], next)
		}
		whole[name] = next
	}
	all, err := json.Marshal(whole)
	if err != nil {
		return after // cannot be: all of it was JSON
	}
	return all
}
