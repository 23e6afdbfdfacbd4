package keep

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/consensus/store"
	"github.com/hanse-fleet/hanse/decoded"
	"github.com/hanse-fleet/hanse/law"
	"github.com/hanse-fleet/hanse/secrets"
)

// Opening turns what is sealed into the Secrets that it is, for the reconciler. The keys of a group are in memory for as long as the group is
// as it was when this member got at them, and nowhere else. It is used from one goroutine.
type Opening struct {
	holder Holder
	kinds  decoded.Kinds
	groups map[string]*v1alpha1.RecipientGroup
	unread map[string]error // why some groups of the view are not known
	rings  map[string]*keyring
}

// NewOpening has no keys yet.
func NewOpening(h Holder, kinds decoded.Kinds) *Opening {
	return &Opening{holder: h, kinds: kinds, rings: map[string]*keyring{}}
}

// Begin looks at the groups of a view, and lets go of the keys of those that changed. One that cannot be read is a matter of what is sealed for it alone.
func (o *Opening) Begin(v *store.View) {
	o.groups, o.unread = o.kinds.GroupsByName(v)
	maps.DeleteFunc(o.rings, func(name string, r *keyring) bool { return r.group != o.groups[name] })
}

// Holds says that this member has the present key of a group, so that what it opened before it may have still.
func (o *Opening) Holds(group string) bool {
	g := o.groups[group]
	return g != nil && g.Holds(o.holder.Cluster, o.holder.recipient())
}

// ringOf are the keys of a group of the view.
func (o *Opening) ringOf(group string) (*keyring, error) {
	if ring := o.rings[group]; ring != nil {
		return ring, nil
	}
	g := o.groups[group]
	if g == nil {
		return nil, cmp.Or(o.unread[group], fmt.Errorf("it is sealed for group %s, which is not there; seal it for another one", group))
	}
	ring, err := o.holder.keyring(g)
	if err == nil {
		o.rings[group] = ring
	}
	return ring, err
}

// Open replaces what is sealed among the objects of a revision, and says for which group it is; "": it was not. The error has nothing of what is in it.
func (o *Opening) Open(v *store.View, revision string, objects []unstructured.Unstructured) (opened []unstructured.Unstructured, group string, err error) {
	if len(objects) == 0 || !isSealed(&objects[0]) {
		return objects, "", nil
	}
	var s v1alpha1.FleetSecret
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(objects[0].Object, &s); err != nil {
		return nil, "", errors.New("the sealed secret cannot be read")
	}
	ring, err := o.ringOf(s.Spec.Group)
	if err != nil {
		return nil, s.Spec.Group, err
	}
	known := func(revision string) *v1alpha1.Sealing { return law.SealingAt(v, revision) }
	made, err := ring.openSecret(&s, ring.believed(v, revision, known(revision), known))
	if err != nil {
		return nil, s.Spec.Group, err
	}
	if !slices.EqualFunc(made, objects, sameName) { // others may bring what nobody was asked about
		return nil, s.Spec.Group, errors.New("the revision does not name the Secrets that it becomes")
	}
	return made, s.Spec.Group, nil
}

func sameName(a, b unstructured.Unstructured) bool {
	return a.GetNamespace() == b.GetNamespace() && a.GetName() == b.GetName()
}

func isSealed(u *unstructured.Unstructured) bool {
	return u.GroupVersionKind() == v1alpha1.SchemeGroupVersion.WithKind("FleetSecret")
}

// openSecret are the Secrets that were sealed, and again what was sealed again of it. The manifest in a revision has the name and
// the namespace of the first Secret.
func (r *keyring) openSecret(s *v1alpha1.FleetSecret, again v1alpha1.Believed) ([]unstructured.Unstructured, error) {
	var data map[string][]byte
	var also []secrets.Bound
	_, err := r.open(s, again, func(key secrets.Identity, sealed []byte) (err error) {
		data, also, err = secrets.OpenBound(key, targetOf(s), sealed)
		return err
	})
	if errors.Is(err, secrets.ErrWrongKey) {
		return nil, fmt.Errorf("it is sealed to no recipient that group %s has or had; seal it again: hanse seal --group %[1]s", r.group.Name)
	}
	if err != nil {
		return nil, fmt.Errorf("what is sealed cannot be opened: %w", err)
	}
	defer secrets.Clear(data)
	return secretsOf(s, data, also)
}

// secretsOf are the Secrets that values become: the first with all of them, and each further one with those that are sealed for it.
func secretsOf(s *v1alpha1.FleetSecret, data map[string][]byte, also []secrets.Bound) (all []unstructured.Unstructured, err error) {
	first := v1alpha1.FurtherSecret{Namespace: s.Namespace, Name: s.Name, Type: s.Spec.Type, Immutable: s.Spec.Immutable, Template: s.Spec.Template}
	for i, one := range append([]v1alpha1.FurtherSecret{first}, s.Spec.Also...) {
		target, values := secrets.Target{Namespace: one.Namespace, Name: one.Name}, data
		if i > 0 {
			bound, err := secrets.BoundTo(target, also)
			if err != nil {
				return nil, err
			}
			values = bound.Of(data)
		}
		made, err := secrets.Compose(one.Template, values)
		if err != nil {
			return nil, fmt.Errorf("the Secret %s: %w", target, err)
		}
		all = append(all, secretOf(one, made))
		secrets.Clear(made)
	}
	return all, nil
}

// secretOf is one Secret as the cluster is given it. Another value of an immutable one, or another type, is made anew in place of it: nothing is in it
// but what is sealed.
func secretOf(one v1alpha1.FurtherSecret, data map[string][]byte) unstructured.Unstructured {
	values := make(map[string]any, len(data))
	for key, value := range data {
		values[key] = base64.StdEncoding.EncodeToString(value)
	}
	secret := map[string]any{
		"apiVersion": "v1", "kind": "Secret", "data": values, "type": cmp.Or(one.Type, "Opaque"),
		"metadata": map[string]any{
			"name": one.Name, "namespace": one.Namespace, "annotations": map[string]any{v1alpha1.AnnotationReplace: v1alpha1.ReplaceWhenImmutable},
		},
	}
	if one.Immutable {
		secret["immutable"] = true
	}
	return unstructured.Unstructured{Object: secret}
}
