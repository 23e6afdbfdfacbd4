package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// leaving is what is on its way out of the cluster.
type leaving struct {
	waiting map[key]lingering // what is still there
	next    time.Time         // when to look again without an event
	retry   backoff
}

// lingering is why an object that should go is still there.
type lingering struct {
	problem
	since time.Time
	// asked says that the cluster accepted the deletion, so that a little patience is due.
	asked bool
}

func (b *bundle) newLeaving() leaving {
	return leaving{retry: backoff{first: b.s.timing.Retry, most: min(10*time.Second, b.s.timing.RetryMax)}}
}

// erase deletes listed objects, or lets them go by policy Orphan, and strikes those that are gone off the inventory.
// Those that are not are left in b.leaving.waiting. It does not wait for any.
func (b *bundle) erase(ctx context.Context, keys []key, policy v1alpha1.DeletionPolicy) error {
	gone := make([]bool, len(keys))
	why := make([]problem, len(keys))
	asked := make([]bool, len(keys))
	errs := make([]error, len(keys))
	each(ctx, b.s, keys, func(i int, k key) {
		ctx, cancel := context.WithTimeout(ctx, b.s.timing.Request)
		defer cancel()
		listed := b.inv.entries[k]
		e := eraser{b.s, b.label, policy}
		if listed.orphaned {
			e.policy = v1alpha1.DeletionOrphan
		}
		why[i], errs[i] = e.erase(ctx, k, listed)
		asked[i] = errs[i] == nil
		if errs[i] != nil && !isAway(errs[i]) {
			why[i], errs[i] = problem{ReasonPruneFailed, problemOf(k.GroupKind, errs[i]).message}, nil
		}
		errs[i] = wordless(k.GroupKind, errs[i])
		gone[i] = errs[i] == nil && why[i].reason == ""
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for i, k := range keys {
		if gone[i] {
			delete(b.inv.entries, k)
			delete(b.leaving.waiting, k)
			b.unsaved = true
		} else if errs[i] == nil {
			since := b.leaving.waiting[k].since
			if since.IsZero() {
				since = time.Now()
			}
			b.leaving.waiting[k] = lingering{why[i], since, asked[i]}
		}
	}
	return firstError(errs)
}

func firstError(errs []error) error {
	if i := slices.IndexFunc(errs, func(err error) bool { return err != nil }); i >= 0 {
		return errs[i]
	}
	return nil
}

// eraser deletes single objects.
type eraser struct {
	s      *session
	label  string
	policy v1alpha1.DeletionPolicy
}

// erase does what can be done now to an object that should go. A problem says that it is still there; none, that the
// inventory need not list it any more, because it is gone, let go of, or not ours.
func (e eraser) erase(ctx context.Context, k key, listed entry) (problem, error) {
	m, err := e.s.kinds.any(ctx, k.GroupKind)
	if errors.Is(err, errUnknownKind) {
		return e.unserved(ctx, k)
	}
	if err != nil {
		return problem{}, err
	}
	resource := e.s.resource(m, k.namespace)
	live, err := resource.Get(ctx, k.name, metav1.GetOptions{})
	switch {
	case isKindGone(err):
		e.s.kinds.forget()
		return problem{ReasonPruneFailed, "its kind is just going"}, nil
	case apierrors.IsNotFound(err):
		return problem{}, nil
	case err != nil:
		return problem{}, err
	case !mayDelete(sight(live), listed, e.label):
		e.s.logger.Info("object is not ours any more, left alone", logBundle, e.label, logObject, k.String())
		return problem{}, nil
	case e.policy == v1alpha1.DeletionOrphan || k == key{kindNamespace, "", Namespace}:
		return problem{}, ignoreGone(e.s.release(ctx, resource, live))
	case live.GetDeletionTimestamp() != nil:
		return problem{ReasonPruneFailed, leavingMessage(live.GetFinalizers())}, nil
	}
	return e.delete(ctx, resource, live)
}

// delete deletes exactly this object, and looks whether it went at once.
func (e eraser) delete(ctx context.Context, resource dynamic.ResourceInterface, live *unstructured.Unstructured) (problem, error) {
	uid := live.GetUID()
	err := resource.Delete(ctx, live.GetName(), metav1.DeleteOptions{
		Preconditions:     &metav1.Preconditions{UID: &uid},
		PropagationPolicy: new(metav1.DeletePropagationBackground),
	})
	if err != nil {
		return problem{}, ignoreGone(err)
	}
	after, err := resource.Get(ctx, live.GetName(), metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return problem{}, nil
	case err != nil:
		return problem{}, err
	case after.GetUID() != uid:
		return problem{}, nil
	}
	return problem{ReasonPruneFailed, leavingMessage(after.GetFinalizers())}, nil
}

// unserved decides about an object whose kind is not served. It is gone if no definition of the kind is left.
func (e eraser) unserved(ctx context.Context, k key) (problem, error) {
	m, err := e.s.kinds.any(ctx, kindDefinition)
	if err != nil {
		return problem{}, err
	}
	options := metav1.ListOptions{Limit: 20} // definitions are large
	for {
		page, err := e.s.resource(m, "").List(ctx, options)
		if err != nil {
			return problem{}, err
		}
		for i := range page.Items {
			if defines(&page.Items[i], k.GroupKind) {
				return problem{ReasonPruneFailed, "its kind is defined, but not served now"}, nil
			}
		}
		if options.Continue = page.GetContinue(); options.Continue == "" {
			return problem{}, nil
		}
	}
}

func defines(definition *unstructured.Unstructured, gk schema.GroupKind) bool {
	group, _, _ := unstructured.NestedString(definition.Object, "spec", "group")
	kind, _, _ := unstructured.NestedString(definition.Object, "spec", "names", "kind")
	return group == gk.Group && kind == gk.Kind
}

func ignoreGone(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

func leavingMessage(finalizers []string) string {
	if len(finalizers) > 0 {
		return fmt.Sprintf("it is being deleted and waits for its finalizers %s; whatever handles them must remove them", strings.Join(finalizers, ", "))
	}
	return "it is being deleted"
}

// release takes our labels and our ownership of fields off an object, and leaves it as it is.
func (s *session) release(ctx context.Context, resource dynamic.ResourceInterface, live *unstructured.Unstructured) error {
	theirs := slices.DeleteFunc(live.GetManagedFields(), isOurs)
	if len(theirs) == 0 {
		theirs = []metav1.ManagedFieldsEntry{{}} // the API's way to say: none
	}
	body, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid": live.GetUID(), "resourceVersion": live.GetResourceVersion(), "managedFields": theirs,
		"labels": map[string]any{LabelBundle: nil, labelPartOf: nil},
	}})
	if err != nil {
		return fmt.Errorf("encode release: %w", err)
	}
	_, err = resource.Patch(ctx, live.GetName(), types.MergePatchType, body, metav1.PatchOptions{FieldManager: FieldManager})
	return err
}
