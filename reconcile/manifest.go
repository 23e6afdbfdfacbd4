package reconcile

import (
	"encoding/json"
	"fmt"
	"maps"
	"time"

	names "k8s.io/apimachinery/pkg/api/validate/content"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/plan"
)

// object is one object that a bundle wants, and how far it is. It belongs to the bundle's goroutine.
type object struct {
	manifest *unstructured.Unstructured // never changed: it is the Grants'
	gvk      schema.GroupVersionKind
	// key is final once mapped; before, its namespace is a guess.
	key    key
	mapped bool
	at     mapping
	order  int // within its stage

	applied *applied
	problem problem
	late    bool      // is a definition that did not become usable in time
	going   time.Time // since when what is there is seen to be on its way out; zero when it is not
	stuck   bool      // and it does not go in time
	correct bool      // a person ordered it to be put right, and it was not yet

	// Why and when it is to be applied next.
	todo    todo
	since   time.Time // of the event that asked for a repair
	retryAt time.Time
	retry   backoff
	pace    pace
}

// todo is why an object is to be applied.
type todo uint8

const (
	nothing todo = iota
	rollIn       // the grant is new
	restore      // it may have changed while nobody looked
	putBack      // an event says that it changed
	again        // it did not work the last time
)

func (o *object) ref() v1alpha1.ObjectRef { return o.key.ref(o.gvk.Version) }

func (o *object) isDefinition() bool { return plan.StageOf(o.gvk.GroupKind()) == plan.StageDefinitions }

// read takes a manifest apart. A manifest that is no object comes back with a problem.
func read(u *unstructured.Unstructured) *object {
	gvk := u.GroupVersionKind()
	o := &object{manifest: u, gvk: gvk, key: key{gvk.GroupKind(), u.GetNamespace(), u.GetName()}, order: plan.OrderOf(u), todo: rollIn}
	if what := malformed(u); what != "" {
		o.todo, o.problem = nothing, problem{ReasonRefused, what}
	} else if forbidden(o.key) {
		o.todo, o.problem = nothing, problem{ReasonRefused, "it is what Hanse itself stands on in this cluster; no bundle may hold it"}
	}
	return o
}

// malformed says what keeps a manifest from being an object at all. Whether the object is right is for the cluster to say.
func malformed(u *unstructured.Unstructured) string {
	if u.GetKind() == "" || u.GetAPIVersion() == "" {
		return "the manifest has no apiVersion or no kind"
	}
	if _, err := schema.ParseGroupVersion(u.GetAPIVersion()); err != nil {
		return fmt.Sprintf("its apiVersion is garbled: %v", err)
	}
	meta, ok := u.Object["metadata"].(map[string]any)
	if !ok {
		return "the manifest has no metadata"
	}
	if name, ok := meta["name"].(string); !ok || name == "" {
		return "the manifest has no metadata.name"
	} else if wrong := names.IsPathSegmentName(name); len(wrong) > 0 {
		return "its metadata.name " + wrong[0]
	}
	for _, field := range []string{"labels", "annotations"} {
		if _, _, err := unstructured.NestedStringMap(u.Object, "metadata", field); err != nil && meta[field] != nil {
			return fmt.Sprintf("its metadata.%s is not a map of strings", field)
		}
	}
	if ns, present := meta["namespace"]; present && ns != nil {
		if s, ok := ns.(string); !ok || s != "" && len(validation.IsDNS1123Label(s)) > 0 {
			return "its metadata.namespace is not the name of a namespace"
		}
	}
	return ""
}

// place sets where the object is served and, with it, its namespace: "default" for what needs one and names none.
func (o *object) place(m mapping) {
	o.at, o.mapped = m, true
	o.key.namespace = namespaceFor(o.manifest.GetNamespace(), m.namespaced)
}

func namespaceFor(named string, namespaced bool) string {
	switch {
	case !namespaced:
		return ""
	case named == "":
		return "default"
	}
	return named
}

// serverSet are the fields of metadata that only the kube-apiserver sets; manifests taken from a cluster carry them.
var serverSet = []string{"managedFields", "resourceVersion", "uid", "generation", "creationTimestamp", "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds"}

// nowhere is a version that no object has. An apply that demands it makes an object, and is refused when there is one.
const nowhere = "9223372036854775807"

// body is what is sent to apply the object: the manifest, without what only the server sets, with our labels. The
// server refuses it unless the object is still the one that was seen, unchanged; nil: unless there is none.
func (o *object) body(bundle string, seen *sighting) ([]byte, error) {
	meta := maps.Clone(o.manifest.Object["metadata"].(map[string]any))
	for _, field := range serverSet {
		delete(meta, field)
	}
	labels := map[string]any{}
	if have, ok := meta["labels"].(map[string]any); ok {
		maps.Copy(labels, have)
	}
	labels[LabelBundle], labels[labelPartOf] = v1alpha1.BundleLabel(bundle), applySetID(bundle)
	meta["labels"] = labels
	delete(meta, "namespace")
	if o.key.namespace != "" {
		meta["namespace"] = o.key.namespace
	}
	meta["resourceVersion"] = nowhere
	if seen != nil {
		meta["uid"], meta["resourceVersion"] = string(seen.uid), seen.version
	}
	whole := maps.Clone(o.manifest.Object)
	whole["metadata"] = meta
	data, err := json.Marshal(whole)
	if err != nil {
		return nil, fmt.Errorf("encode manifest: %w", err)
	}
	return data, nil
}

// trial is the object under another name: what the server says of making it is what it would say of making the object, were it not there.
func (o *object) trial(bundle string, live *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	body, err := o.body(bundle, nil)
	if err != nil {
		return nil, err
	}
	u := &unstructured.Unstructured{}
	if err := u.UnmarshalJSON(body); err != nil {
		return nil, fmt.Errorf("decode manifest: %w", err)
	}
	return plan.Trial(u, live), nil
}

// definedKinds are the kinds that the definitions among the objects bring, and whether their objects have namespaces.
func definedKinds(objects []*object) map[schema.GroupKind]bool {
	out := map[schema.GroupKind]bool{}
	for _, o := range objects {
		if o.gvk.GroupKind() != kindDefinition {
			continue
		}
		group, _, _ := unstructured.NestedString(o.manifest.Object, "spec", "group")
		kind, _, _ := unstructured.NestedString(o.manifest.Object, "spec", "names", "kind")
		scope, _, _ := unstructured.NestedString(o.manifest.Object, "spec", "scope")
		if kind != "" {
			out[schema.GroupKind{Group: group, Kind: kind}] = scope == "Namespaced"
		}
	}
	return out
}
