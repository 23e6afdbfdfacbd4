package main

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// Who lets something go on that was suspended is told what is put right at once, and is asked where that is in several fault domains.
func TestWhatIsPutRightAtOnceInSeveralDomainsIsAskedAbout(t *testing.T) {
	suspended := map[string]any{v1alpha1.AnnotationSuspended: "moving disks"}
	for name, c := range map[string]struct {
		differs     []string // clusters
		itself      string   // a cluster that is suspended itself
		annotations map[string]any
		drift       v1alpha1.DriftPolicy
		args        []string
		code        int
		said        string
	}{
		"nothing differs":                       {nil, "", suspended, "", nil, exitOK, ""},
		"in one domain":                         {[]string{"ams", "fra"}, "", suspended, "", nil, exitOK, "  ams   2 objects changed, 1 deleted\n  fra   2 objects changed, 1 deleted\nfield by field: hanse drift shop\n"},
		"in two":                                {[]string{"fra", "iad"}, "", suspended, "", nil, exitUsage, "this changes eu, us at once, with no wave between"},
		"in two, as a person says":              {[]string{"fra", "iad"}, "", suspended, "", []string{"--yes"}, exitOK, "  iad   2 objects"},
		"in two, of which one is suspended":     {[]string{"fra", "iad"}, "iad", suspended, "", nil, exitOK, "  fra   2 objects"},
		"in two, of a bundle that only reports": {[]string{"fra", "iad"}, "", suspended, v1alpha1.DriftReport, nil, exitOK, ""},
		"in two, of one that is not suspended":  {[]string{"fra", "iad"}, "", nil, "", nil, exitOK, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleetWith(both[0], v1alpha1.Rollout{})
			bundle := f.objects["bundles/shop"].(map[string]any)
			bundle["metadata"].(map[string]any)["annotations"] = c.annotations
			bundle["spec"] = map[string]any{"drift": c.drift}
			for cluster, region := range map[string]string{"ams": "eu", "fra": "eu", "iad": "us"} {
				is := v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: cluster, Labels: map[string]string{v1alpha1.LabelRegion: region}}}
				if cluster == c.itself {
					is.Annotations = map[string]string{v1alpha1.AnnotationSuspended: ""}
				}
				f.objects["clusters/"+cluster] = is
			}
			for _, cluster := range c.differs {
				w := workThat(cluster, metav1.ConditionUnknown, v1alpha1.ReasonSuspended, "")
				w.Spec.Bundle, w.Status.Foreseen = "shop", &v1alpha1.Foresight{Changes: 2, Deletions: 1}
				f.objects["works/"+v1alpha1.WorkName("shop", cluster)] = w
			}
			code, out, written := f.run(t, append([]string{"unsuspend", "bundle", "shop"}, c.args...)...)
			if code != c.code || len(written) != map[bool]int{true: 1}[code == exitOK] || !strings.Contains(out, c.said) || c.said == "" && strings.Contains(out, "put right") {
				t.Errorf("exit %d, wrote %q:\n%s", code, written, out)
			}
		})
	}
}
