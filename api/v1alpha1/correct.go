package v1alpha1

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// AnnotationCorrect on a Bundle has members put right what differs in their clusters, once, where its drift is Report. Its value is a
// Correction, as JSON. It is no field of the spec, so that it makes no revision, and no rollout.
const AnnotationCorrect = "fleet.hanse.dev/correct"

// CorrectionHolds is how long an order to put something right holds: who hears of it later leaves it.
const CorrectionHolds = time.Hour

// Correction is what is to be put right once.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type Correction struct {
	// Number only grows from order to order of a bundle, so that an old one that comes back is known: what is not above the one that was
	// carried out last is not carried out. It is the time of the order, in milliseconds since 1970, or one more than the order before.
	Number int64 `json:"number"`
	// Until is when it ends. Zero never.
	Until metav1.Time `json:"until,omitzero"`
	// Within is for how long it holds. The member that takes it makes Number and Until of that, and leaves it out.
	Within metav1.Duration `json:"within,omitzero"`
	// Epoch is the ID of the log's epoch in which it was given; in another one it is nothing any more. Empty: it is not known.
	Epoch string `json:"epoch,omitempty"`
	// In says what to put right, and where. Without any, it is everything everywhere.
	In []CorrectionIn `json:"in,omitempty"`
}

// CorrectionIn is what is to be put right in some clusters.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type CorrectionIn struct {
	Clusters []string    `json:"clusters"`
	Objects  []ObjectRef `json:"objects"`
}

// MaxCorrection is how long the text of an order may be.
const MaxCorrection = 128 << 10

// NextCorrection is an empty order behind the one that a bundle has, which the member that takes it will set to its own clock.
func NextCorrection(o metav1.Object, now time.Time) Correction {
	c := Correction{Within: metav1.Duration{Duration: CorrectionHolds}}
	c.begin(o, now)
	return c
}

// begin sets an order behind the one that a bundle has, by a clock.
func (c *Correction) begin(o metav1.Object, now time.Time) {
	c.Number = max(now.UnixMilli(), CorrectionOf(o).Number+1)
	c.Until = metav1.Time{Time: now.Add(c.Within.Duration).UTC().Truncate(time.Second)}
}

// StampCorrection sets an order that is written with Within by the clock of the member that takes it: who gave it may have another, and what
// ended by that is an order that nobody carries out. old is nil for a new object.
func StampCorrection(o, old metav1.Object, at time.Time) {
	c := CorrectionOf(o)
	if c.Within.Duration <= 0 {
		return
	}
	if old == nil {
		old = &metav1.ObjectMeta{}
	}
	c.begin(old, at)
	c.Within = metav1.Duration{}
	text, err := json.Marshal(c)
	if err != nil {
		return // what was read can be written
	}
	annotations := maps.Clone(o.GetAnnotations())
	annotations[AnnotationCorrect] = string(text)
	o.SetAnnotations(annotations)
}

// Holds says that an order is one, and has not ended.
func (c Correction) Holds(now time.Time) bool {
	return c.Number > 0 && (c.Until.IsZero() || now.Before(c.Until.Time))
}

// For is what of an order is for a cluster; the zero order when nothing is.
func (c Correction) For(cluster string) Correction {
	if len(c.In) == 0 {
		return c
	}
	c.In = slices.DeleteFunc(slices.Clone(c.In), func(in CorrectionIn) bool { return !slices.Contains(in.Clusters, cluster) })
	if len(c.In) == 0 {
		return Correction{}
	}
	return c
}

// CorrectionOf is what an object orders to be put right; its Number is 0 when that is nothing, or cannot be read.
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
	case len(text) > MaxCorrection:
		return field.ErrorList{field.TooLong(at, "", MaxCorrection)}
	case err != nil:
		return field.ErrorList{field.Invalid(at, text, "must be JSON, such as hanse drift BUNDLE --correct writes: "+err.Error())}
	case c.Number <= 0:
		return field.ErrorList{field.Required(at.Child("number"), "above that of the order before, such as the time in milliseconds since 1970")}
	case c.Within.Duration < 0:
		return field.ErrorList{field.Invalid(at.Child("within"), c.Within.Duration.String(), "for how long it holds, such as 1h")}
	}
	return c.validateIn(at.Child("in"))
}

// validateIn refuses what would do nothing, and count as done.
func (c Correction) validateIn(at *field.Path) (errs field.ErrorList) {
	for i, in := range c.In {
		if len(in.Clusters) == 0 {
			errs = append(errs, field.Required(at.Index(i).Child("clusters"), "names of clusters; leave all of in out for everything everywhere"))
		}
		if len(in.Objects) == 0 {
			errs = append(errs, field.Required(at.Index(i).Child("objects"), "what to put right there; leave all of in out for everything everywhere"))
		}
	}
	return errs
}
