package agent

import (
	"encoding/json"
	"maps"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/plan"
	"github.com/hanse-fleet/hanse/render"
)

// contents are what revisions bring, those that somebody asked about. A revision never changes, so each is read once.
type contents map[string]plan.Content

// brought is what is read of a revision to know what it brings; the rest may be megabytes.
type brought struct {
	Spec struct {
		BundleUID string                  `json:"bundleUID"`
		Deletion  v1alpha1.DeletionPolicy `json:"deletion"`
		Manifests heads                   `json:"manifests"`
		Division  []struct{}              `json:"division"`
	} `json:"spec"`
}

// heads are what is read of manifests.
type heads []head

// head is what names the object of a manifest.
type head struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Namespace string `json:"namespace"`
		Name      string `json:"name"`
	} `json:"metadata"`
}

// ref is the object that a manifest becomes in a cluster: what is sealed becomes a Secret.
func (h head) ref() v1alpha1.ObjectRef {
	if h.APIVersion == v1alpha1.SchemeGroupVersion.String() && h.Kind == "FleetSecret" {
		h.APIVersion, h.Kind = "v1", "Secret"
	}
	return v1alpha1.ObjectRef{APIVersion: h.APIVersion, Kind: h.Kind, Namespace: h.Metadata.Namespace, Name: h.Metadata.Name}
}

func (all heads) refs() (refs []v1alpha1.ObjectRef) {
	for _, h := range all {
		refs = append(refs, h.ref())
	}
	return refs
}

// of is what a revision brings; false: it is not there, or cannot be read.
func (c contents) of(v *store.View, revision string) (plan.Content, bool) {
	if content, known := c[revision]; known || revision == "" {
		return content, known
	}
	kv, there := v.Get(v1alpha1.KeyBundleRevisions + revision)
	var b brought
	if !there || json.Unmarshal(kv.Value, &b) != nil {
		return plan.Content{}, false
	}
	content := plan.Content{BundleUID: b.Spec.BundleUID, Deletion: b.Spec.Deletion, Objects: b.Spec.Manifests.refs()}
	if len(b.Spec.Division) > 0 {
		r, err := revisionIn(v, revision)
		if err != nil {
			return plan.Content{}, false
		}
		content.Wholes = render.Wholes(r.Spec.BundleContent)
	}
	c[revision] = content
	return content, true
}

// forget drops the revisions that are not there any more.
func (c contents) forget(there map[string]bool) {
	maps.DeleteFunc(c, func(revision string, _ plan.Content) bool { return !there[revision] })
}
