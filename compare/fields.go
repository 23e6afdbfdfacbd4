package compare

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Field is one that is different. A value is nil when the field is not there.
type Field struct {
	// Path as people write it: spec.template.spec.containers[web].image. An item of a list is named by what tells it from the others,
	// else by its place, from 0.
	Path   string `json:"path"`
	Before any    `json:"before,omitempty"`
	After  any    `json:"after,omitempty"`
	// Hidden says that the values are secret, and stand for themselves.
	Hidden bool `json:"hidden,omitempty"`
}

// Hide leaves of the values only whether they are there.
func (f *Field) Hide() {
	f.Hidden = true
	for _, v := range []*any{&f.Before, &f.After} {
		if *v != nil {
			*v = "***"
		}
	}
}

// Paths names fields for a sentence: the first few, and how many more there are.
func Paths(fields []Field) string {
	const most = 3
	var paths []string
	for _, f := range fields[:min(len(fields), most)] {
		paths = append(paths, f.Path)
	}
	if more := len(fields) - most; more > 0 {
		paths = append(paths, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(paths, ", ")
}

// differ finds the fields that are different in two values, in the order of their names.
func differ(path string, before, after any) []Field {
	if reflect.DeepEqual(before, after) {
		return nil
	}
	switch b := before.(type) {
	case map[string]any:
		if a, ok := after.(map[string]any); ok {
			return differMaps(path, b, a)
		}
	case []any:
		if a, ok := after.([]any); ok {
			return differLists(path, b, a)
		}
	}
	return []Field{{Path: path, Before: before, After: after}}
}

func differMaps(path string, before, after map[string]any) (all []Field) {
	names := maps.Clone(before)
	maps.Copy(names, after)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		all = append(all, differ(child(path, name), before[name], after[name])...)
	}
	return all
}

// child is the path of a field in a map; names that are no words stand in brackets.
func child(path, name string) string {
	switch {
	case strings.ContainsAny(name, "./[] "):
		return fmt.Sprintf("%s[%s]", path, name)
	case path == "":
		return name
	}
	return path + "." + name
}

// tellers are the fields that tell the items of a list apart, as lists of Kubernetes do: the first that all items have, each
// another value, does.
var tellers = []string{"name", "containerPort", "port", "mountPath", "devicePath", "key", "ip", "type", "topologyKey", "uid"}

func differLists(path string, before, after []any) []Field {
	for _, teller := range tellers {
		b, ok := told(before, teller)
		a, also := told(after, teller)
		if ok && also && sameOrder(before, after, teller) {
			return differItems(path, b, a)
		}
	}
	if len(before) != len(after) || !slices.ContainsFunc(slices.Concat(before, after), isMap) {
		return []Field{{Path: path, Before: before, After: after}}
	}
	var all []Field
	for i := range before {
		all = append(all, differ(fmt.Sprintf("%s[%d]", path, i), before[i], after[i])...)
	}
	return all
}

func differItems(path string, before, after map[string]any) (all []Field) {
	names := maps.Clone(before)
	maps.Copy(names, after)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		all = append(all, differ(fmt.Sprintf("%s[%s]", path, name), before[name], after[name])...)
	}
	return all
}

// told are the items of a list by a field; not ok when that does not tell them apart.
func told(list []any, teller string) (map[string]any, bool) {
	by := map[string]any{}
	for _, item := range list {
		object, _ := item.(map[string]any)
		value, there := object[teller]
		if !there || isMap(value) {
			return nil, false
		}
		by[fmt.Sprint(value)] = item
	}
	return by, len(by) == len(list)
}

// sameOrder says that the items that are in both lists follow each other alike: else their order is what is different.
func sameOrder(before, after []any, teller string) bool {
	order := func(list, other []any) (names []string) {
		others, _ := told(other, teller)
		for _, item := range list {
			name := fmt.Sprint(item.(map[string]any)[teller])
			if _, shared := others[name]; shared {
				names = append(names, name)
			}
		}
		return names
	}
	return slices.Equal(order(before, after), order(after, before))
}

func isMap(v any) bool {
	_, ok := v.(map[string]any)
	return ok
}
