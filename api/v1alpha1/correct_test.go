package v1alpha1

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func ordering(text string) *Bundle {
	b := &Bundle{}
	b.Annotations = map[string]string{AnnotationCorrect: text}
	return b
}

func TestWhatIsToBePutRightIsRead(t *testing.T) {
	settings := ObjectRef{APIVersion: "v1", Kind: "ConfigMap", Namespace: "shop", Name: "settings"}
	for name, c := range map[string]struct {
		text string
		want Correction
	}{
		"all": {`{"number":1}`, Correction{Number: 1}},
		"some": {
			`{"number":7,"until":"2026-01-01T10:00:00Z","in":[{"clusters":["fra"],"objects":[{"apiVersion":"v1","kind":"ConfigMap","namespace":"shop","name":"settings"}]}]}`,
			Correction{Number: 7, Until: metav1.Time{Time: time.Date(2026, 1, 1, 10, 0, 0, 0, time.UTC)}, In: []CorrectionIn{{Clusters: []string{"fra"}, Objects: []ObjectRef{settings}}}},
		},
		"no JSON":              {"please", Correction{}},
		"of no number":         {`{"in":[{"clusters":["fra"]}]}`, Correction{}},
		"of no objects":        {`{"number":1,"in":[{"clusters":["fra"]}]}`, Correction{}},
		"of a number below":    {`{"number":-1}`, Correction{}},
		"of less than no time": {`{"number":1,"within":"-1h"}`, Correction{}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, CorrectionOf(ordering(c.text))); diff != "" {
				t.Error(diff)
			}
		})
	}
	if got := CorrectionOf(&Bundle{}); got.Number != 0 {
		t.Errorf("without an annotation: %v", got)
	}
}

func TestAnOrderComesBehindTheOneBeforeAndEnds(t *testing.T) {
	now := time.UnixMilli(5000)
	if first := NextCorrection(&Bundle{}, now); first.Number != 5000 || !first.Holds(now) || first.Holds(now.Add(CorrectionHolds)) {
		t.Errorf("the first: %+v", first)
	}
	if second := NextCorrection(ordering(`{"number":9000}`), now); second.Number != 9001 {
		t.Errorf("after one whose clock was ahead: %+v", second)
	}
	if (Correction{}).Holds(now) {
		t.Error("no order holds")
	}
	if !(Correction{Number: 1}).Holds(now) {
		t.Error("an order without an end has ended")
	}
}

// Whoever gives an order may have a clock that is an hour slow.
func TestTheMemberThatTakesAnOrderSaysUntilWhenItHolds(t *testing.T) {
	at := time.UnixMilli(1_000_000_000_000)
	given := func(o *Bundle, by time.Duration) *Bundle {
		order := NextCorrection(o, at.Add(by))
		order.Epoch = "e"
		text, err := json.Marshal(order)
		if err != nil {
			t.Fatal(err)
		}
		return ordering(string(text))
	}
	for name, c := range map[string]struct {
		old    *Bundle
		order  *Bundle
		number int64
	}{
		"the first, by a slow clock":         {&Bundle{}, given(&Bundle{}, -2*time.Hour), at.UnixMilli()},
		"the first, by a fast clock":         {&Bundle{}, given(&Bundle{}, 2*time.Hour), at.UnixMilli()},
		"of a new bundle":                    {nil, given(&Bundle{}, -2*time.Hour), at.UnixMilli()},
		"behind one that came from later on": {ordering(`{"number":3000000000000}`), given(&Bundle{}, 0), 3_000_000_000_001},
	} {
		t.Run(name, func(t *testing.T) {
			var old metav1.Object
			if c.old != nil {
				old = c.old
			}
			StampCorrection(c.order, old, at)
			got := CorrectionOf(c.order)
			if got.Number != c.number || !got.Holds(at) || got.Holds(at.Add(CorrectionHolds)) || got.Epoch != "e" || got.Within.Duration != 0 {
				t.Errorf("%+v", got)
			}
		})
	}
	const own = `{"number":7,"until":"2026-01-01T10:00:00Z"}`
	by := ordering(own)
	StampCorrection(by, &Bundle{}, at)
	if by.Annotations[AnnotationCorrect] != own {
		t.Errorf("what says itself until when it holds is now %s", by.Annotations[AnnotationCorrect])
	}
}

func TestAnOrderIsForTheClustersThatItNames(t *testing.T) {
	one, two := []ObjectRef{{Kind: "ConfigMap", Name: "one"}}, []ObjectRef{{Kind: "ConfigMap", Name: "two"}}
	order := Correction{Number: 3, In: []CorrectionIn{{Clusters: []string{"fra", "iad"}, Objects: one}, {Clusters: []string{"iad"}, Objects: two}}}
	for cluster, want := range map[string]Correction{
		"fra": {Number: 3, In: order.In[:1]},
		"iad": order,
		"sin": {},
	} {
		if diff := cmp.Diff(want, order.For(cluster)); diff != "" {
			t.Errorf("%s: %s", cluster, diff)
		}
	}
	if all := (Correction{Number: 3}); all.For("sin").Number != 3 {
		t.Error("an order for all is for none")
	}
}
