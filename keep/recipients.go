package keep

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/plan"
	"github.com/hanse-fleet/hanse/secrets"
)

// recipients are those for whom a key may be wrapped.
type recipients func(plan.KeyReader) (secrets.Recipient, error)

// recipients are as people wrote them, and those of clusters as each member signed its own: whoever puts another one there gets nothing.
func (k *Keeper) recipients(v *store.View) recipients {
	members := map[string][]store.Member{}
	for _, m := range v.Members() {
		members[m.Cluster] = append(members[m.Cluster], m)
	}
	return func(r plan.KeyReader) (secrets.Recipient, error) {
		own := r.Cluster == k.Cluster && r.Recipient == k.recipient()
		if r.Cluster != "" && !own {
			var c v1alpha1.Cluster
			if kv, _ := v.Get(v1alpha1.KeyClusters + r.Cluster); json.Unmarshal(kv.Value, &c) != nil {
				return secrets.Recipient{}, errors.New("it cannot be read")
			}
			of := members[r.Cluster]
			switch len(of) {
			case 0:
				return secrets.Recipient{}, errors.New("it has no member now")
			case 1:
			default:
				return secrets.Recipient{}, fmt.Errorf("the log has %d members for it, and which of them is its own nobody can say: an honest leader writes one", len(of))
			}
			if err := k.config.Signed(of[0], r.Recipient, &c.Status); err != nil {
				return secrets.Recipient{}, err
			}
		}
		return secrets.ParseRecipient(r.Recipient)
	}
}
