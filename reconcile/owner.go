package reconcile

import (
	"fmt"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// claim is whose an object is that a bundle wants.
type claim uint8

const (
	absent  claim = iota // nobody's: it is not there
	ours                 // of this bundle
	foreign              // of somebody else, or of another bundle
)

// whose tells what an object that the bundle wants is to it. listed is its entry in the inventory, nil when it has none.
//
// The UID in the inventory is the proof. The label alone is none, because labels are copied; together with an entry
// that waits for its UID, or with fields that we applied, it is.
func whose(live *sighting, listed *entry, label string, granted func(label string) bool) claim {
	switch {
	case live == nil:
		return absent
	case live.bundle != label && live.bundle != "" && granted(live.bundle):
		return foreign
	case listed != nil && listed.uid == live.uid:
		return ours
	case live.bundle == label && (listed != nil || live.fields != ""):
		return ours
	}
	return foreign
}

// mayDelete says whether an object that is listed in the inventory, and should go, may be deleted. The inventory's
// UID decides; an entry whose UID was never learned counts only for an object that bears all our marks.
func mayDelete(live sighting, listed entry, label string) bool {
	if live.bundle != "" && live.bundle != label {
		return false
	}
	if listed.uid == "" {
		return live.bundle == label && live.fields != ""
	}
	return listed.uid == live.uid
}

// conflictMessage says why an object is left alone, and what a person can do.
func conflictMessage(live sighting, label string) string {
	if live.bundle != "" && live.bundle != label {
		return fmt.Sprintf("it belongs to %s; remove it from one of the two", v1alpha1.RolledOutOf(clip(live.bundle, maxName)).Title())
	}
	if v1alpha1.RolledOutOf(label).IsSecret() {
		return "it exists already and is not of this secret" + managedBy(live) + "; delete it, or seal the secret under another --secret-name"
	}
	return "it exists already and is not of this bundle" + managedBy(live) +
		"; delete it, or set the bundle's adopt to IfEqual or Always to take it over"
}

func managedBy(live sighting) string {
	if live.manager == "" {
		return ""
	}
	return fmt.Sprintf(", managed by %q", live.manager)
}

// forbidden is what no bundle may hold: what the reconciler itself stands on.
func forbidden(k key) bool {
	switch {
	case k.namespace != Namespace:
		return false
	case k.GroupKind == schema.GroupKind{Group: "coordination.k8s.io", Kind: "Lease"}:
		return k.name == LeaseName
	case k.GroupKind == schema.GroupKind{Kind: "ConfigMap"}:
		return isInventoryName(k.name)
	}
	return false
}
