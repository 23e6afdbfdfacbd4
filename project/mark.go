package project

import (
	"encoding/json"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// What is ours bears these, and fields that FieldManager applied. Labels alone are no proof: they are copied.
const (
	labelFleet     = "fleet.hanse.dev/fleet"
	labelManagedBy = "app.kubernetes.io/managed-by"
	annotationMark = "fleet.hanse.dev/projection"

	// FieldManager owns the fields that are written.
	FieldManager = "hanse-project"
)

// mark is written into each object: what of the log it shows, and when in the log that was so. It is what a deletion
// rests on: what the log had then, and does not have later in the same epoch, it has removed.
type mark struct {
	UID      string `json:"uid"`
	Epoch    string `json:"epoch"`
	Revision uint64 `json:"revision"`
	Digest   string `json:"digest"`
}

func markOf(u *unstructured.Unstructured) (m mark) {
	if json.Unmarshal([]byte(u.GetAnnotations()[annotationMark]), &m) != nil {
		return mark{}
	}
	return m
}

// marked is a want as it is written from a fleet's state.
func (w want) marked(f Fleet) *unstructured.Unstructured {
	u := w.object()
	text, err := json.Marshal(mark{UID: w.uid, Epoch: f.Epoch, Revision: f.Revision, Digest: w.digest})
	if err != nil {
		panic("project: a mark is no JSON: " + err.Error()) // three strings and a number
	}
	u.SetAnnotations(map[string]string{annotationMark: string(text)})
	return u
}

// applied says that FieldManager applied fields of an object.
func applied(u *unstructured.Unstructured) bool {
	for _, e := range u.GetManagedFields() {
		if e.Manager == FieldManager && e.Operation == metav1.ManagedFieldsOperationApply && e.Subresource == "" {
			return true
		}
	}
	return false
}
