package render

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/express"
)

// maxTrials is how many overrides of a bundle are tried alone: each takes reading all manifests again. The rest is believed.
const maxTrials = 16

// Check refuses divisions and ignored fields of what is not there, and overrides that cannot be applied in any cluster: an expression that is none, a patch that changes nothing of the
// bundle, or that no object can take. Each is tried after all those before it, and then alone; one of the two must do. In place of
// values that only a cluster has, their expressions stand. Manifests that are no objects are for others to refuse.
func Check(c v1alpha1.BundleContent) (errs field.ErrorList) {
	if len(c.Overrides)+len(c.Division)+len(c.Ignore) == 0 {
		return nil
	}
	all, err := sceneOf(c)
	if err != nil {
		return nil
	}
	for i, rule := range c.Ignore {
		if !slices.ContainsFunc(all.objects, func(u unstructured.Unstructured) bool { return names(rule.Target, &u) }) {
			errs = append(errs, field.Invalid(pathIgnore.Index(i).Child("target"), targetName(rule.Target), "the bundle has no such object"))
		}
	}
	wholes, parts := wholesOf(c), make([]int32, len(c.Division))
	for i, d := range c.Division {
		if err := all.divide(pathDivision.Index(i), d.Target, wholes[i], 0); err != nil {
			errs = append(errs, asField(pathDivision.Index(i), err))
		}
	}
	if len(errs) > 0 {
		return errs
	}
	if err := tooMany(c.Overrides); err != nil {
		return field.ErrorList{err}
	}
	all.values = map[string]v1alpha1.FrozenValue{}
	trials := 0
	for i, o := range c.Overrides {
		at := pathOverrides.Index(i)
		wrong := all.stand(at, o)
		if errs = append(errs, wrong...); len(wrong) > 0 {
			continue
		}
		if all.override(at, o) == nil {
			if err := all.divideAll(c.Division, wholes, parts); err != nil {
				errs = append(errs, asField(at, err))
			}
			continue
		}
		if trials++; trials > maxTrials {
			break
		}
		if _, err := Render(c, &v1alpha1.Frozen{Overrides: []int32{int32(i)}, Values: all.values, Divided: parts}); err != nil {
			errs = append(errs, asField(at, err))
		}
	}
	return errs
}

// tooMany says which expression is one too many, or takes too much room with those before it; nil when none does.
func tooMany(overrides []v1alpha1.Override) *field.Error {
	seen, size := map[string]bool{}, 0
	for i, o := range overrides {
		for _, expression := range expressions(o) {
			if seen[expression] {
				continue
			}
			seen[expression] = true
			wrong := func(why string) *field.Error {
				return field.Invalid(pathOverrides.Index(i), "${"+beginning(expression)+"}", why+"; divide the bundle, or say it with labels")
			}
			if len(seen) > express.MaxExpressions {
				return wrong(fmt.Sprintf("the overrides of a bundle may have %d different expressions, and this is one more", express.MaxExpressions))
			}
			if size += sizeOf(expression); size > MaxValues {
				return wrong(fmt.Sprintf("the expressions of a bundle's overrides may have %d KiB of text, and with this one they have more", MaxValues>>10))
			}
		}
	}
	return nil
}

// beginning is so much of an expression that people know which it is.
func beginning(expression string) string {
	const enough = 80
	if runes := []rune(expression); len(runes) > enough {
		return string(runes[:enough]) + "…"
	}
	return expression
}

// stand lets the expressions of an override stand for their values, and says which are none.
func (s *scene) stand(at *field.Path, o v1alpha1.Override) (errs field.ErrorList) {
	for _, expression := range expressions(o) {
		s.values[expression] = v1alpha1.FrozenValue{JSON: strconv.Quote(expression)}
		if err := express.Check(expression); err != nil {
			errs = append(errs, field.Invalid(at, "${"+expression+"}", err.Error()))
		}
	}
	return errs
}

func asField(at *field.Path, err error) *field.Error {
	var said *field.Error
	if errors.As(err, &said) {
		return said
	}
	return field.Invalid(at, "", err.Error())
}
