package law

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// Indifferent implements store.Indifferent. Who writes a bundle has looked at all others, and expects that none says anything else by now: it
// could bring the same object into the same cluster, or depend on this one in turn. One in which the name of none of this bundle's objects
// occurs does not do the first, and a bundle that depends on nothing is in no circle.
func (Authority) Indifferent(txn store.Txn) func(now store.KV) bool {
	names, known := namesIn(txn)
	return func(now store.KV) bool {
		if !known || !strings.HasPrefix(now.Key, v1alpha1.KeyBundleRevisions) {
			return false
		}
		for _, name := range names {
			if bytes.Contains(now.Value, name) {
				return false
			}
		}
		return true
	}
}

// maxBeside is how many objects of a bundle are looked for in what others say.
const maxBeside = 64

// besides is what is read of a revision to see whether it minds others: the rest may be much.
type besides struct {
	Spec struct {
		DependsOn []string `json:"dependsOn"`
		Manifests []struct {
			Metadata struct {
				Name string `json:"name"`
			} `json:"metadata"`
		} `json:"manifests"`
	} `json:"spec"`
}

// namesIn are the names, as they stand in JSON, of the objects that a transaction has bundles bring; unknown when it writes no bundle, or when these are not all that
// others may matter to.
func namesIn(txn store.Txn) (names [][]byte, known bool) {
	for _, op := range txn.Then {
		if !strings.HasPrefix(op.Key, v1alpha1.KeyBundleRevisions) || op.Delete {
			continue
		}
		var r besides
		if json.Unmarshal(op.Value, &r) != nil || len(r.Spec.DependsOn) > 0 {
			return nil, false
		}
		for _, m := range r.Spec.Manifests {
			if m.Metadata.Name == "" {
				return nil, false
			}
			names = append(names, []byte(`"`+m.Metadata.Name+`"`))
		}
		known = true
	}
	return names, known && len(names) <= maxBeside
}
