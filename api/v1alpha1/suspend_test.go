package v1alpha1

import (
	"testing"
	"time"
)

func TestASuspensionKeepsSinceWhenAndByWhom(t *testing.T) {
	suspended := func(annotations map[string]string) *Bundle {
		b := &Bundle{}
		b.Annotations = annotations
		return b
	}
	at := time.Date(2026, 11, 26, 20, 24, 0, 0, time.UTC)
	first := suspended(map[string]string{AnnotationSuspended: "moving disks", annotationSuspendedBy: "somebody else"})
	StampSuspension(first, nil, "anna", at)
	const said = "suspended since 2026-11-26T20:24:00Z by anna"
	if got := Suspension(first); got != said+": moving disks" {
		t.Error(got)
	}
	again := suspended(map[string]string{AnnotationSuspended: ""})
	StampSuspension(again, first, "ben", at.Add(time.Hour))
	if got := Suspension(again); got != said {
		t.Errorf("another reason is no other suspension: %s", got)
	}
	ended := suspended(map[string]string{annotationSuspendedBy: "anna", "other": "x"})
	StampSuspension(ended, again, "ben", at)
	if len(ended.Annotations) != 1 || Suspension(ended) != "" {
		t.Errorf("what has ended leaves nothing: %v", ended.Annotations)
	}
	StampSuspension(suspended(nil), nil, "anna", at)
}
