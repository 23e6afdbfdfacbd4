package law

import (
	"encoding/json"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// sealed is a FleetSecret as it is rolled out: a bundle of one manifest for each Secret that it becomes, under the name of that, so that whoever
// looks for who brings an object finds it. The first has the secret itself, as it was written.
func sealed(value []byte) (*bundle, bool) {
	var s v1alpha1.FleetSecret
	if len(value) == 0 || json.Unmarshal(value, &s) != nil {
		return nil, false
	}
	whole, ok := object(value, "apiVersion", "kind", "metadata", "spec", "status")
	if !ok {
		return nil, false
	}
	metadata, ok := object(whole["metadata"], "name", "uid", "generation", "creationTimestamp")
	if !ok {
		return nil, false
	}
	var manifests []map[string]any
	for _, target := range s.Targets() {
		manifests = append(manifests, map[string]any{
			"apiVersion": v1alpha1.SchemeGroupVersion.String(), "kind": "FleetSecret", "metadata": map[string]string{"namespace": target.Namespace, "name": target.Name},
		})
	}
	manifests[0]["spec"] = whole["spec"]
	manifest, err := json.Marshal(manifests)
	if err != nil {
		return nil, false
	}
	b := s.AsBundle(nil)
	adopt, err := json.Marshal(b.Spec.Adopt)
	if err != nil {
		return nil, false
	}
	text := func(s string) json.RawMessage { return json.RawMessage(`"` + s + `"`) }
	return &bundle{
		Bundle: b, metadata: metadata,
		content: map[string]json.RawMessage{
			"drift": text(string(v1alpha1.DriftCorrect)), "deletion": text(string(v1alpha1.DeletionPrune)), "adopt": adopt, "manifests": manifest,
		},
	}, true
}

// soundSecret says that what is written is the secret that its key names, and no other in its place.
func (w write) soundSecret() bool {
	if w.op.Delete {
		return true
	}
	s, ok := sealed(w.op.Value)
	if !ok || s.UID == "" || s.Name != (v1alpha1.RolledOut{Kind: "FleetSecret", Name: w.name}).String() {
		return false
	}
	if w.before == nil {
		return true
	}
	old, ok := sealed(w.before)
	return ok && s.UID == old.UID && s.Generation >= old.Generation
}
