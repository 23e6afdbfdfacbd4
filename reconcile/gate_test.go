package reconcile

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

func TestAnObjectHasACondition(t *testing.T) {
	complete, failed := v1alpha1.GateCondition{Type: "Complete", Status: "True"}, v1alpha1.GateCondition{Type: "Failed", Status: "False"}
	for name, c := range map[string]struct {
		object string
		want   v1alpha1.GateCondition
		has    bool
		says   string
	}{
		"it has":                       {`{status: {conditions: [{type: Suspended, status: "False"}, {type: Complete, status: "True", reason: Done}]}}`, complete, true, "condition Complete is True"},
		"True is what is left out":     {`{status: {conditions: [{type: Complete, status: "True"}]}}`, v1alpha1.GateCondition{Type: "Complete"}, true, "condition Complete is True"},
		"another status":               {`{status: {conditions: [{type: Complete, status: "False", reason: Busy, message: 2 of 3}]}}`, complete, false, "condition Complete is False, must be True: Busy: 2 of 3"},
		"it must be False, and is":     {`{status: {conditions: [{type: Failed, status: "False"}]}}`, failed, true, "condition Failed is False"},
		"it must be False, and is not": {`{status: {conditions: [{type: Failed, status: "True"}]}}`, failed, false, "condition Failed is True, must be False"},
		"no condition of the type":     {`{status: {conditions: [{type: complete, status: "True"}]}}`, complete, false, "condition Complete is not there, must be True"},
		"no status":                    {`{}`, complete, false, "condition Complete is not there, must be True"},
		"conditions that are none":     {`{status: {conditions: [7, {type: Complete}]}}`, complete, false, "condition Complete is <nil>, must be True"},
		"it goes":                      {`{metadata: {deletionTimestamp: "2026-01-01T00:00:00Z"}, status: {conditions: [{type: Complete, status: "True"}]}}`, complete, false, "it is being deleted"},
		"of an older generation":       {`{metadata: {generation: 3}, status: {observedGeneration: 2, conditions: [{type: Complete, status: "True"}]}}`, complete, false, "its controller has not seen its newest change: generation 3, seen 2"},
		"a condition of an older one":  {`{metadata: {generation: 3}, status: {conditions: [{type: Complete, status: "True", observedGeneration: 2}]}}`, complete, false, "condition Complete is True, of before its newest change"},
	} {
		t.Run(name, func(t *testing.T) {
			json, err := yaml.YAMLToJSON([]byte(c.object))
			if err != nil {
				t.Fatal(err)
			}
			u := &unstructured.Unstructured{Object: map[string]any{}}
			if err := u.UnmarshalJSON([]byte(`{"kind":"Job",` + string(json[1:]))); err != nil && c.object != `{}` {
				t.Fatal(err)
			}
			if has, says := hasCondition(u, c.want); has != c.has || says != c.says {
				t.Errorf("%v %q, want %v %q", has, says, c.has, c.says)
			}
		})
	}
}
