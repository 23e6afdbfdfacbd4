package law

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	strictjson "sigs.k8s.io/json"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
)

// written are the kinds that people write and the law does not make anew: a value that cannot be read would end every list and
// every watch of its kind, on every member. Bundles are read more closely (soundBundle).
var written = map[string]func() runtime.Object{
	v1alpha1.KeyFleets:   func() runtime.Object { return &v1alpha1.Fleet{} },
	v1alpha1.KeyClusters: func() runtime.Object { return &v1alpha1.Cluster{} },
	v1alpha1.KeyUsers:    func() runtime.Object { return &v1alpha1.User{} },

	v1alpha1.KeyRecipientGroups: func() runtime.Object { return &v1alpha1.RecipientGroup{} },
	v1alpha1.KeyFleetSecrets:    func() runtime.Object { return &v1alpha1.FleetSecret{} },
}

// unsound says why what is written is not the object that its key names.
func (w write) unsound(proposed map[string]store.Op) error {
	empty := written[w.prefix]
	if empty == nil || w.op.Delete || w.ofItself {
		return nil
	}
	o := empty()
	kind := reflect.TypeOf(o).Elem().Name()
	if err := readAlike(w.op.Value, o, empty()); err != nil {
		return fmt.Errorf("%s cannot be read as a %s: %w; write it with kubectl apply or hanse apply", Thing(w.op.Key), kind, err)
	}
	if told := o.GetObjectKind().GroupVersionKind(); told != v1alpha1.SchemeGroupVersion.WithKind(kind) {
		return fmt.Errorf("what is written as %s is no %s", Thing(w.op.Key), kind)
	}
	if m, ok := o.(metav1.Object); !ok || m.GetName() != w.name {
		return fmt.Errorf("what is written as %s is a %s of another name", Thing(w.op.Key), kind)
	}
	if u, ok := o.(*v1alpha1.User); ok {
		return w.pinTaken(u.Spec.Pin, proposed)
	}
	return nil
}

// readAlike reads an object that every reader reads alike: no key is there twice, and those who mind the case of keys find the
// same as those who do not. A field that this version does not know is let be: a later one may have written it, and members of
// both must judge alike.
func readAlike(value []byte, into, loosely runtime.Object) error {
	twice, err := strictjson.UnmarshalStrict(value, into, strictjson.DisallowDuplicateFields)
	switch {
	case err != nil, json.Unmarshal(value, loosely) != nil:
		return errors.New("a field is not of its type")
	case len(twice) > 0:
		return errors.New("a field is there twice")
	case !reflect.DeepEqual(into, loosely):
		return errors.New("a field is written in another case")
	}
	return nil
}

// pinTaken says whose a pin is already: of two users with one, nobody could say who asks. A user that had it before may keep it.
func (w write) pinTaken(pin string, proposed map[string]store.Op) error {
	if pin == "" || pin == pinOf(w.op.Key, w.before) {
		return nil
	}
	for key := range w.view.Find(pin) {
		if _, changes := proposed[key]; !changes {
			return fmt.Errorf("%s has the pin of %s, and each needs a key of their own: hanse user create NAME --role ROLE makes one", Thing(w.op.Key), Thing(key))
		}
	}
	for key, op := range proposed {
		if key != w.op.Key && pinOf(key, op.Value) == pin {
			return fmt.Errorf("%s has the pin of another that is written with it, and each needs a key of their own: hanse user create NAME --role ROLE makes one", Thing(w.op.Key))
		}
	}
	return nil
}

// Term implements store.Indexer: a user is found by the pin.
func (Authority) Term(key string, value func() []byte) string { return v1alpha1.PinOfUser(key, value) }

func pinOf(key string, value []byte) string {
	return v1alpha1.PinOfUser(key, func() []byte { return value })
}
