package agent

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

func TestWhatIsSuspendedTogetherIsOneLine(t *testing.T) {
	var stopped []standstill
	for i := range 50 {
		c := &v1alpha1.Cluster{}
		c.Name, c.Annotations = fmt.Sprintf("eu%02d", i), map[string]string{v1alpha1.AnnotationSuspended: "moving disks"}
		by := "anna"
		if i == 7 {
			by = "bert"
		}
		v1alpha1.StampSuspension(c, nil, by, time.Unix(int64(i), 0))
		stopped = appendStopped(stopped, c, "cluster "+c.Name, "cluster "+c.Name)
	}
	if got, want := standstillLines("clusters", stopped), []string{
		"49 clusters are suspended by anna: moving disks; each: hanse unsuspend cluster eu00",
		"cluster eu07 is suspended since 1970-01-01T00:00:07Z by bert: moving disks; hanse unsuspend cluster eu07",
	}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func TestARegionCountsABundleOnceAsItIsWhereItIsWorst(t *testing.T) {
	ready, rolling := v1alpha1.BundleCounts{Total: 1, Ready: 1}, v1alpha1.BundleCounts{Total: 1}
	failed, drifted := v1alpha1.BundleCounts{Total: 1, Failed: 1}, v1alpha1.BundleCounts{Total: 1, Ready: 1, Drifted: 1}
	suspended := v1alpha1.BundleCounts{Total: 1, Suspended: 1}
	all := tally{clusters: map[string]v1alpha1.BundleCounts{}, spots: map[spot]v1alpha1.BundleCounts{}, ill: map[string]*illness{}}
	for bundle, in := range map[string][]v1alpha1.BundleCounts{
		"well": {ready, ready, ready, ready, ready}, "goes": {ready, rolling, suspended}, "rests": {ready, suspended},
		"falls": {drifted, failed, rolling, failed, failed}, "moves": {ready, drifted},
	} {
		for i, one := range in {
			all.add(pair{bundle, fmt.Sprint("eu", i)}, "eu", one)
		}
		all.add(pair{bundle, "us0"}, "us", ready)
	}
	want := []v1alpha1.RegionFleetStatus{
		{Name: "eu", Bundles: v1alpha1.BundleCounts{Total: 5, Ready: 2, Failed: 1, Drifted: 2, Suspended: 1}},
		{Name: "us", Bundles: v1alpha1.BundleCounts{Total: 5, Ready: 5}},
	}
	if diff := cmp.Diff(want, all.regions()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]v1alpha1.BundleFleetStatus{
		{Name: "falls", Failed: 3, Drifted: 1, Clusters: []string{"eu1", "eu3", "eu4"}},
		{Name: "moves", Drifted: 1, Clusters: []string{"eu1"}},
	}, all.unwell()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(v1alpha1.BundleCounts{Total: 5, Ready: 5, Drifted: 1}, all.clusters["eu0"]); diff != "" {
		t.Errorf("eu0 counts:\n%s", diff)
	}
}
