package keep

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/law"
	"github.com/hanse-fleet/hanse/secrets"
)

// Holder is a member as one that may hold keys of groups: those that are wrapped for its cluster, to its own age identity.
type Holder struct {
	Fleet, Cluster string
	Age            secrets.Identity
}

func (h Holder) recipient() string { return h.Age.Recipient().String() }

func (h Holder) keyOf(g *v1alpha1.RecipientGroup, epoch int64) secrets.Key {
	return secrets.Key{Fleet: h.Fleet, Group: g.Name, Epoch: epoch}
}

// groupKey unwraps the present key of a group.
func (h Holder) groupKey(g *v1alpha1.RecipientGroup) (secrets.Identity, error) {
	wrap := g.WrapFor(h.Cluster, h.recipient())
	if wrap == nil {
		return secrets.Identity{}, fmt.Errorf("cluster %s has no key of group %s; a member of the group wraps it for clusters that the group's selector picks: hanse get recipientgroup %[2]s -o yaml", h.Cluster, g.Name)
	}
	key, err := secrets.Unwrap(h.Age, h.keyOf(g, g.Status.Epoch), g.Status.Recipient, wrap)
	if err != nil {
		return key, fmt.Errorf("the key of group %s cannot be unwrapped: %w", g.Name, err)
	}
	return key, nil
}

// Second is a member's time, if it is not far from the log's, else the log's: a key's age is counted from there.
func Second(v *store.View, now time.Time) metav1.Time {
	if log := v.Time(); now.Sub(log).Abs() > law.MaxKeySkew/2 {
		now = log
	}
	return metav1.Time{Time: now.Truncate(time.Second)}
}
