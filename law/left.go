package law

import (
	"encoding/json"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// anew refuses to make a group under the name of one of which something is left.
func anew(v *store.View, key string) error {
	if left := Left(v, key); left != "" {
		return &store.Forbidden{Reason: left + "; that takes seconds: try again then"}
	}
	return nil
}

// Left says what the log still has of a group that is not there any more; "" for nothing. The leader deletes it, in as many transactions as it takes. Until
// then there is no other group of the name, so what says nothing but the name is of the one that is there, or of none.
func Left(v *store.View, key string) string {
	prefix, name := splitKey(key)
	if prefix != v1alpha1.KeyRecipientGroups {
		return ""
	}
	if _, there := v.Get(key); there {
		return ""
	}
	for kv := range v.Iterate(v1alpha1.KeySealings, "") {
		var s struct {
			Group string `json:"group"`
		}
		if json.Unmarshal(kv.Value, &s) == nil && s.Group == name {
			return "group " + name + " was deleted, and " + Thing(kv.Key) + " is still to be forgotten"
		}
	}
	return ""
}
