package render

import (
	"errors"
	"fmt"
	"maps"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// patch applies one to every object that its target names.
func (s *scene) patch(at *field.Path, p v1alpha1.Patch) error {
	apply, err := s.patcher(at, p)
	if err != nil {
		return err
	}
	return s.each(at, p.Target, p.Optional, func(u *unstructured.Unstructured) error {
		patched, where, err := apply(u)
		if err == nil {
			err = sameObject(u, patched)
		}
		if err == nil {
			err = fits(patched)
		}
		if err != nil {
			return field.Invalid(where, u.GetKind()+" "+u.GetName(), err.Error())
		}
		u.Object = patched
		return nil
	})
}

// patcher gives the patched form of an object, and where the patch is that could not be applied. The patches' values are filled in
// once; what is given is never shared with the object.
func (s *scene) patcher(at *field.Path, p v1alpha1.Patch) (func(*unstructured.Unstructured) (map[string]any, *field.Path, error), error) {
	switch {
	case p.Merge != nil:
		at := at.Child("merge")
		patch, err := s.document(at, p.Merge)
		return func(u *unstructured.Unstructured) (map[string]any, *field.Path, error) {
			return merged(u.DeepCopy().Object, runtime.DeepCopyJSON(patch)), at, nil
		}, err
	case p.Strategic != nil:
		at := at.Child("strategic")
		patch, err := s.document(at, p.Strategic)
		return func(u *unstructured.Unstructured) (map[string]any, *field.Path, error) {
			object, err := strategicallyMerged(u.DeepCopy(), runtime.DeepCopyJSON(patch))
			return object, at, err
		}, err
	}
	ops := make([]operation, len(p.JSON))
	for i := range p.JSON {
		document, err := s.document(at.Child("json").Index(i), &p.JSON[i])
		if err == nil {
			ops[i], err = readOperation(document)
		}
		if err != nil {
			return nil, field.Invalid(at.Child("json").Index(i), string(p.JSON[i].Raw), err.Error())
		}
	}
	return func(u *unstructured.Unstructured) (map[string]any, *field.Path, error) {
		object, failed, err := operate(u.DeepCopy().Object, ops)
		return object, at.Child("json").Index(failed), err
	}, nil
}

// document is a patch with its values filled in.
func (s *scene) document(at *field.Path, raw *runtime.RawExtension) (map[string]any, error) {
	var document map[string]any
	if err := json.Unmarshal(raw.Raw, &document); err != nil || document == nil {
		return nil, field.TypeInvalid(at, string(raw.Raw), "must be an object")
	}
	filled, err := s.fill(document)
	if err != nil {
		return nil, field.Invalid(at, string(raw.Raw), err.Error())
	}
	return filled.(map[string]any), nil
}

// merged is a JSON merge patch applied to an object, which it may change.
func merged(object, patch map[string]any) map[string]any {
	for key, value := range patch {
		inner, isMap := value.(map[string]any)
		switch {
		case value == nil:
			delete(object, key)
		case isMap:
			under, ok := object[key].(map[string]any)
			if !ok {
				under = map[string]any{}
			}
			object[key] = merged(under, inner)
		default:
			object[key] = value
		}
	}
	return object
}

// sameObject refuses a patch that makes another object of one: what is removed and what is new could not be told apart.
func sameObject(before *unstructured.Unstructured, after map[string]any) error {
	now := unstructured.Unstructured{Object: after}
	if now.GetAPIVersion() != before.GetAPIVersion() || now.GetKind() != before.GetKind() ||
		now.GetName() != before.GetName() || now.GetNamespace() != before.GetNamespace() {
		return errors.New("it would change the object's apiVersion, kind, name or namespace; a bundle's objects keep theirs")
	}
	return nil
}

// fits bounds what a patch may make of one object.
func fits(object map[string]any) error {
	if n := weight(object, MaxBytes); n > MaxBytes {
		return fmt.Errorf("it would make the object larger than %d MiB", MaxBytes>>20)
	}
	return nil
}

// weight is about how many bytes a value is as JSON; it stops counting soon after most.
func weight(value any, most int) int {
	n := 8
	switch v := value.(type) {
	case string:
		n += len(v)
	case map[string]any:
		for key := range maps.Keys(v) {
			if n += len(key) + weight(v[key], most-n); n > most {
				return n
			}
		}
	case []any:
		for _, item := range v {
			if n += weight(item, most-n); n > most {
				return n
			}
		}
	}
	return n
}
