package agent

import (
	"encoding/json"
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// ages knows since when there were bundles that are deleted and still lie somewhere: their revisions tell. Safe for concurrent use.
type ages struct {
	mu    sync.Mutex
	known map[string]metav1.Time // by the bundle's UID: a revision may be megabytes, and goes before the bundle's last object
}

// maxAges bounds what is remembered.
const maxAges = 1000

// of is when a bundle was made, as its oldest revision that is still there tells; zero when nobody knows.
func (a *ages) of(v *store.View, bundle, uid string) metav1.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	if at, known := a.known[uid]; known {
		return at
	}
	made := oldest(v, bundle, uid)
	if made.IsZero() {
		return made
	}
	if a.known == nil || len(a.known) >= maxAges {
		a.known = map[string]metav1.Time{}
	}
	a.known[uid] = made
	return made
}

// oldest is when the first of a bundle's revisions was made, of those that are there.
func oldest(v *store.View, bundle, uid string) (made metav1.Time) {
	for kv := range v.Iterate(v1alpha1.KeyBundleRevisions+strings.TrimSuffix(v1alpha1.RevisionName(bundle, uid, 0), "0"), "") {
		var r v1alpha1.BundleRevision
		if json.Unmarshal(kv.Value, &r) != nil || r.Spec.BundleUID != uid {
			continue
		}
		if made.IsZero() || r.CreationTimestamp.Before(&made) {
			made = r.CreationTimestamp
		}
	}
	return made
}
