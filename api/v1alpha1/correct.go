package v1alpha1

import (
	"encoding/json"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// AnnotationCorrect on a Bundle has members put right what differs in their clusters, once, where its drift is Report. Its value is a
// Correction, as JSON. It is no field of the spec, so that it makes no revision, and no rollout.
const AnnotationCorrect = "fleet.hanse.dev/correct"

// Correction is what is to be put right once.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type Correction struct {
	// ID tells it from every other one.
	ID string `json:"id"`
	// Clusters where; without them, in all.
	Clusters []string `json:"clusters,omitempty"`
	// Objects of the bundle; without them, all.
	Objects []ObjectRef `json:"objects,omitempty"`
}

const (
	maxCorrection   = 64 << 10
	maxCorrectionID = 64
)

// CorrectionOf is what an object orders to be put right; its ID is empty when that is nothing, or cannot be read.
func CorrectionOf(o metav1.Object) Correction {
	text, there := o.GetAnnotations()[AnnotationCorrect]
	if !there || len(validateCorrection(field.NewPath(""), text)) > 0 {
		return Correction{}
	}
	var c Correction
	_ = json.Unmarshal([]byte(text), &c) // it was checked
	return c
}

func validateCorrection(at *field.Path, text string) field.ErrorList {
	var c Correction
	switch err := json.Unmarshal([]byte(text), &c); {
	case len(text) > maxCorrection:
		return field.ErrorList{field.TooLong(at, "", maxCorrection)}
	case err != nil:
		return field.ErrorList{field.Invalid(at, text, "must be JSON, such as hanse drift BUNDLE --correct writes: "+err.Error())}
	case c.ID == "":
		return field.ErrorList{field.Required(at.Child("id"), "what tells it from every other one")}
	case len(c.ID) > maxCorrectionID:
		return field.ErrorList{field.TooLong(at.Child("id"), "", maxCorrectionID)}
	}
	return nil
}
