package plan_test

import (
	"testing"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

func TestASuspendedBundleGoesNoFurther(t *testing.T) {
	w := sixClusters(t)
	w.apply("shop").Annotations = map[string]string{v1alpha1.AnnotationSuspended: "moving disks"}
	w.rest()
	w.is("ap1 shop 1", "ap2 shop 1", "eu1 shop 1", "eu2 shop 1", "us1 shop 1", "us2 shop 1",
		"shop-00000001-2 Paused []: bundle shop is suspended: moving disks")
	w.bundles["shop"].Annotations = nil
	w.settle()
	w.is("ap1 shop 2", "ap2 shop 2", "eu1 shop 2", "eu2 shop 2", "us1 shop 2", "us2 shop 2")
}
