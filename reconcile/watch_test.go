package reconcile

import (
	"context"
	"log/slog"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

// unserved answers as kube-apiserver does for a kind whose definition is gone.
type unserved struct {
	dynamic.NamespaceableResourceInterface
	err error
}

func (u unserved) Resource(schema.GroupVersionResource) dynamic.NamespaceableResourceInterface {
	return u
}

func (u unserved) List(context.Context, metav1.ListOptions) (*unstructured.UnstructuredList, error) {
	return nil, u.err
}

// A definition that goes between an apply and the first watch of its kind takes the object along without an event.
func TestAKindThatWentBeforeItWasWatchedTakesItsObjectsAlong(t *testing.T) {
	gk := schema.GroupKind{Group: "test.example", Kind: "Widget"}
	widgets := schema.GroupResource{Group: gk.Group, Resource: "widgets"}
	for name, c := range map[string]struct {
		err  error
		gone bool
	}{
		"gone":        {apierrors.NewGenericServerResponse(404, "list", widgets, "", "404 page not found", 0, true), true},
		"unavailable": {apierrors.NewServiceUnavailable("later"), false},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			k, told := key{gk, "shop", "left"}, make(chan key, 1)
			w := &watches{
				client: unserved{err: c.err}, tracker: newTracker(), changed: func(k key) { told <- k },
				timing: Timing{}.completed(), logger: slog.New(slog.DiscardHandler), within: ctx, running: map[schema.GroupKind]*watching{},
			}
			w.tracker.put(k, sighting{uid: "1", version: "7"})
			w.use("b", map[schema.GroupKind]mapping{gk: {resource: widgets.WithVersion("v1")}})
			w.await(ctx, gk)
			cancel()
			w.wait()
			if gone := w.tracker.get(k) == nil; gone != c.gone || len(told) == 1 != c.gone {
				t.Errorf("gone %v, told %d times", gone, len(told))
			}
		})
	}
}
