package compare

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Taken is a manifest that says what an object is in a cluster, where applying the manifest would change that, and the paths of these
// fields in the manifest, as JSON pointers (RFC 6901). after is what applying would make of the object. What the manifest does not say is left out.
func Taken(manifest, live, after unstructured.Unstructured) (unstructured.Unstructured, []string) {
	t := taking{}
	is, _ := t.value("", manifest.DeepCopy().Object, peoples(live), peoples(after))
	said, _ := is.(map[string]any)
	return unstructured.Unstructured{Object: said}, t.paths
}

// taking is one run of Taken.
type taking struct{ paths []string }

// value is what the manifest is to say; false: nothing any more.
func (t *taking) value(path string, manifest, live, after any) (any, bool) {
	switch m := manifest.(type) {
	case map[string]any:
		l, ok := live.(map[string]any)
		a, also := after.(map[string]any)
		if ok && also {
			return t.fields(path, m, l, a), true
		}
	case []any:
		l, ok := live.([]any)
		a, also := after.([]any)
		if ok && also {
			if items, alike := t.items(path, m, l, a); alike {
				return items, true
			}
		}
	}
	if len(differ("", live, after)) == 0 {
		return manifest, true
	}
	t.paths = append(t.paths, path)
	return live, live != nil
}

func (t *taking) fields(path string, manifest, live, after map[string]any) map[string]any {
	for _, name := range slices.Sorted(maps.Keys(manifest)) {
		is, there := t.value(path+"/"+escape(name), manifest[name], live[name], after[name])
		if there {
			manifest[name] = is
		} else {
			delete(manifest, name)
		}
	}
	return manifest
}

// items takes lists whose items are told apart by one of their fields; false: these are not.
func (t *taking) items(path string, manifest, live, after []any) (all []any, ok bool) {
	for _, teller := range tellers {
		l, ok := told(live, teller)
		a, also := told(after, teller)
		if _, too := told(manifest, teller); !ok || !also || !too || !sameOrder(live, after, teller) {
			continue
		}
		for i, item := range manifest {
			name := fmt.Sprint(item.(map[string]any)[teller])
			if is, there := t.value(fmt.Sprintf("%s/%d", path, i), item, l[name], a[name]); there {
				all = append(all, is)
			}
		}
		return all, true
	}
	return nil, false
}

// escape writes a name as RFC 6901 wants it.
func escape(name string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(name) }
