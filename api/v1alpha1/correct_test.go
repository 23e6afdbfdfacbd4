package v1alpha1

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWhatIsToBePutRightIsRead(t *testing.T) {
	settings := ObjectRef{APIVersion: "v1", Kind: "ConfigMap", Namespace: "shop", Name: "settings"}
	for name, c := range map[string]struct {
		text string
		want Correction
	}{
		"all":            {`{"id":"1"}`, Correction{ID: "1"}},
		"some":           {`{"id":"1","clusters":["fra"],"objects":[{"apiVersion":"v1","kind":"ConfigMap","namespace":"shop","name":"settings"}]}`, Correction{ID: "1", Clusters: []string{"fra"}, Objects: []ObjectRef{settings}}},
		"no JSON":        {"please", Correction{}},
		"of no name":     {`{"clusters":["fra"]}`, Correction{}},
		"of a long name": {`{"id":"` + strings.Repeat("x", maxCorrectionID+1) + `"}`, Correction{}},
	} {
		t.Run(name, func(t *testing.T) {
			b := &Bundle{}
			b.Annotations = map[string]string{AnnotationCorrect: c.text}
			if diff := cmp.Diff(c.want, CorrectionOf(b)); diff != "" {
				t.Error(diff)
			}
		})
	}
	if got := CorrectionOf(&Bundle{}); got.ID != "" {
		t.Errorf("without an annotation: %v", got)
	}
}
