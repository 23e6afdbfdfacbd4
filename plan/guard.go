package plan

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// MaxBundle is how many bytes of manifests, as JSON, one bundle may hold.
const MaxBundle = 12 << 20

// Reason is why a change to a bundle is not made just so.
type Reason string

// The reasons. Drops is the only one that depends on what the fleet has now; a person may answer it, and
// PlainSecret, with an Allowance.
const (
	Empty       Reason = "Empty"       // nothing in it
	TooLarge    Reason = "TooLarge"    // over MaxBundle
	Twice       Reason = "Twice"       // two objects of one name
	PlainSecret Reason = "PlainSecret" // a Secret that anyone who reads the log could read
	Drops       Reason = "Drops"       // many objects go, or some that take data with them
)

// Allowance is what a person said is meant.
type Allowance struct {
	// Delete is how many objects may leave the bundle.
	Delete int
	// PlainSecrets lets Secrets with data into the log.
	PlainSecrets bool
}

// Objection is one reason against a change.
type Objection struct {
	Reason Reason
	// Objects are those that the reason speaks of, in the order given.
	Objects []v1alpha1.ObjectRef
	// Of is how many objects the bundle has now, or how many bytes it would have.
	Of int
}

func (o Objection) Error() string {
	switch o.Reason {
	case Empty:
		return "there is nothing in it"
	case TooLarge:
		return fmt.Sprintf("its manifests are %.1f MiB; a bundle holds at most %d MiB", float64(o.Of)/(1<<20), MaxBundle>>20)
	case Twice:
		return Name(o.Objects[0]) + " is in it twice"
	case PlainSecret:
		return "it would keep secrets in plain text in the log of every member: " + names(o.Objects)
	case Drops:
		return fmt.Sprintf("it would delete %d of %d objects: %s", len(o.Objects), o.Of, names(o.Objects))
	}
	return string(o.Reason)
}

// Guard objects to a change that is more likely a mistake than meant: before are the objects that a bundle has
// now, after those that it would have. Without objections it returns nil.
func Guard(before, after []unstructured.Unstructured, allow Allowance) []Objection {
	if len(after) == 0 {
		return []Objection{{Reason: Empty}}
	}
	var found []Objection
	if n := size(after); n > MaxBundle {
		found = append(found, Objection{Reason: TooLarge, Of: n})
	}
	for _, ref := range twice(after) {
		found = append(found, Objection{Reason: Twice, Objects: []v1alpha1.ObjectRef{ref}})
	}
	if refs := plainSecrets(after); len(refs) > 0 && !allow.PlainSecrets {
		found = append(found, Objection{Reason: PlainSecret, Objects: refs})
	}
	if gone := dropped(before, after); len(gone) > allow.Delete && drastic(gone, len(before)) {
		found = append(found, Objection{Reason: Drops, Objects: gone, Of: len(before)})
	}
	return found
}

// drastic says whether what goes is more than a fifth, or takes along what cannot be made again from manifests.
func drastic(gone []v1alpha1.ObjectRef, of int) bool {
	return len(gone)*5 > of || slices.ContainsFunc(gone, precious)
}

// precious objects take others, or data, with them when they are deleted.
func precious(ref v1alpha1.ObjectRef) bool {
	switch Identify(ref).GroupKind {
	case schema.GroupKind{Kind: "Namespace"},
		schema.GroupKind{Kind: "PersistentVolumeClaim"},
		schema.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}:
		return true
	}
	return false
}

func size(objects []unstructured.Unstructured) int {
	n := 0
	for _, o := range objects {
		data, err := json.Marshal(o.Object)
		if err != nil {
			continue // not from JSON, so not from a person
		}
		n += len(data)
	}
	return n
}

// Identity is what tells objects of a cluster apart: the version is not part of it, no namespace means the one named default, and what has
// none is the same whatever namespace it names.
type Identity struct {
	schema.GroupKind
	namespace, name string
}

// Identify tells what an object is called in a cluster, whatever version it is written in.
func Identify(ref v1alpha1.ObjectRef) Identity {
	gk, namespace := schema.FromAPIVersionAndKind(ref.APIVersion, ref.Kind).GroupKind(), ref.Namespace
	if namespace == "" || unspaced[gk] {
		namespace = "default"
	}
	return Identity{gk, namespace, ref.Name}
}

// Ref names an object.
func Ref(o unstructured.Unstructured) v1alpha1.ObjectRef {
	return v1alpha1.ObjectRef{APIVersion: o.GetAPIVersion(), Kind: o.GetKind(), Namespace: o.GetNamespace(), Name: o.GetName()}
}

// SameObject says whether two references name one object of a cluster.
func SameObject(a, b v1alpha1.ObjectRef) bool { return Identify(a) == Identify(b) }

// twice returns every object that another one before it has the name of.
func twice(objects []unstructured.Unstructured) []v1alpha1.ObjectRef {
	seen := map[Identity]bool{}
	var again []v1alpha1.ObjectRef
	for _, o := range objects {
		ref := Ref(o)
		if seen[Identify(ref)] {
			again = append(again, ref)
		}
		seen[Identify(ref)] = true
	}
	return again
}

func plainSecrets(objects []unstructured.Unstructured) []v1alpha1.ObjectRef {
	var refs []v1alpha1.ObjectRef
	for _, o := range objects {
		if v1alpha1.PlainSecret(o.Object) {
			refs = append(refs, Ref(o))
		}
	}
	return refs
}

// dropped returns the objects of before that after does not name.
func dropped(before, after []unstructured.Unstructured) []v1alpha1.ObjectRef {
	stays := map[Identity]bool{}
	for _, o := range after {
		stays[Identify(Ref(o))] = true
	}
	var gone []v1alpha1.ObjectRef
	for _, o := range before {
		if ref := Ref(o); !stays[Identify(ref)] {
			gone = append(gone, ref)
		}
	}
	return gone
}

// Name is an object as people read it: configmap shop/settings.
func Name(ref v1alpha1.ObjectRef) string {
	name := strings.ToLower(ref.Kind) + " "
	if ref.Namespace != "" {
		name += ref.Namespace + "/"
	}
	return name + ref.Name
}

// names lists a few objects, those that take most with them first.
func names(refs []v1alpha1.ObjectRef) string {
	const few = 5
	refs = slices.Clone(refs)
	slices.SortStableFunc(refs, func(a, b v1alpha1.ObjectRef) int {
		switch pa, pb := precious(a), precious(b); {
		case pa && !pb:
			return -1
		case pb && !pa:
			return 1
		}
		return 0
	})
	var words []string
	for _, ref := range refs[:min(few, len(refs))] {
		words = append(words, Name(ref))
	}
	if rest := len(refs) - few; rest > 0 {
		words = append(words, fmt.Sprintf("and %d more", rest))
	}
	return strings.Join(words, ", ")
}
