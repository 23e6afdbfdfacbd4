package project

import (
	"reflect"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

// live is what is known of an object in the cluster.
type live struct {
	uid     types.UID
	version string
	// ours says that this fleet wrote it; anything else is somebody's.
	ours bool
	mark mark
	// intact says that it held all that was wanted when it was seen.
	intact bool
}

// see keeps of an object what is needed to decide; w is nil when it is not wanted.
func see(u *unstructured.Unstructured, fleet string, w *want) live {
	return live{
		uid: u.GetUID(), version: u.GetResourceVersion(), mark: markOf(u),
		ours:   applied(u) && (u.GetLabels()[labelFleet] == fleet || u.GetLabels()[labelFleet] == ""),
		intact: w != nil && holds(u.Object, w.object().Object),
	}
}

// verb is what to do about an object.
type verb string

const (
	keep   verb = "keep"
	create verb = "create"
	repair verb = "repair" // somebody changed it
	update verb = "update" // the fleet changed
	remove verb = "remove"
	// The object is left as it is:
	foreign verb = "foreign" // it is not ours
	newer   verb = "newer"   // it shows a later state than ours
	unsure  verb = "unsure"  // it is not wanted, and nothing proves that it was removed
)

// decide says what to do about an object: w is nil when the fleet does not want it, l when it is not there.
func decide(f Fleet, w *want, l *live) verb {
	switch {
	case w == nil && l == nil:
		return keep
	case l == nil:
		return create
	case !l.ours:
		return foreign
	case l.mark.Epoch == f.Epoch && l.mark.Revision > f.Revision:
		return newer
	case w == nil && l.mark.UID != "" && l.mark.Epoch == f.Epoch:
		return remove
	case w == nil:
		return unsure
	case l.mark.Digest != w.digest || l.mark.Epoch != f.Epoch || l.mark.UID != w.uid:
		return update
	case !l.intact:
		return repair
	}
	return keep
}

// holds says that have has everything that want has. What others added beside it is theirs.
func holds(have, want any) bool {
	switch want := want.(type) {
	case map[string]any:
		have, ok := have.(map[string]any)
		for key, value := range want {
			ok = ok && holds(have[key], value)
		}
		return ok
	case []any:
		have, ok := have.([]any)
		return ok && holdsAll(have, want)
	}
	return reflect.DeepEqual(have, want)
}

// holdsAll compares lists: element by element, and those whose elements have a key, as API servers merge them.
func holdsAll(have, want []any) bool {
	if len(want) == 0 || keyIn(want[0]) == nil {
		return reflect.DeepEqual(have, want)
	}
	byKey := map[any]any{}
	for _, item := range have {
		byKey[keyIn(item)] = item
	}
	for _, item := range want {
		if !holds(byKey[keyIn(item)], item) {
			return false
		}
	}
	return true
}

// keyIn is what tells an element of a condition, property or provider list from the others; nil: it has no such key.
func keyIn(item any) any {
	fields, _ := item.(map[string]any)
	for _, key := range []string{"type", "name"} {
		if s, ok := fields[key].(string); ok {
			return s
		}
	}
	return nil
}
