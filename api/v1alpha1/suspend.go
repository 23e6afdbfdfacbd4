package v1alpha1

import (
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// AnnotationSuspended on a Bundle, or on a Cluster, stops its reconciling at once: nothing is written in clusters, and what differs is
// still told. Its value is the reason, for people. It is no field of the spec, so that it makes no revision, and no rollout. Since
// when and by whom is written beside it by the member that takes the write, whatever the writer says.
const (
	AnnotationSuspended      = "fleet.hanse.dev/suspended"
	annotationSuspendedSince = "fleet.hanse.dev/suspended-since"
	annotationSuspendedBy    = "fleet.hanse.dev/suspended-by"
)

// maxReason is how much is told of a reason.
const maxReason = 200

// Suspension says of an object that it is suspended, since when, by whom and why: "suspended since 2026-11-26T20:24:00Z by anna: moving
// disks". It is empty of one that is not.
func Suspension(o metav1.Object) string {
	if _, is := o.GetAnnotations()[AnnotationSuspended]; !is {
		return ""
	}
	since := o.GetAnnotations()[annotationSuspendedSince]
	if since != "" {
		since = " since " + since
	}
	return "suspended" + since + SuspendedBy(o)
}

// SuspendedBy is by whom an object is suspended, and why, as Suspension says it: alike of all that were suspended together.
func SuspendedBy(o metav1.Object) (said string) {
	if by := o.GetAnnotations()[annotationSuspendedBy]; by != "" {
		said = " by " + by
	}
	reason := o.GetAnnotations()[AnnotationSuspended]
	if reason = strings.ToValidUTF8(reason[:min(len(reason), maxReason)], ""); reason != "" {
		said += ": " + reason
	}
	return said
}

// StampSuspension writes into an object that is written since when it is suspended and by whom: now and by the writer, unless it
// was before. old is nil for a new one.
func StampSuspension(o, old metav1.Object, by string, at time.Time) {
	annotations := o.GetAnnotations()
	_, is := annotations[AnnotationSuspended]
	delete(annotations, annotationSuspendedSince)
	delete(annotations, annotationSuspendedBy)
	if !is {
		return
	}
	annotations[annotationSuspendedSince], annotations[annotationSuspendedBy] = at.UTC().Format(time.RFC3339), by
	if old == nil {
		return
	}
	if _, was := old.GetAnnotations()[AnnotationSuspended]; was {
		for _, key := range []string{annotationSuspendedSince, annotationSuspendedBy} {
			annotations[key] = old.GetAnnotations()[key]
		}
	}
}
