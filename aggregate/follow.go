package aggregate

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"

	"github.com/hanse-fleet/hanse/internal/pause"
)

// followPause is how long follow waits before it tries again.
const followPause = 2 * time.Second

// follow hands every version of one object to see, from one goroutine, until ctx ends: nil when the object is not there.
// An error is handed on once, until the next success.
func follow(ctx context.Context, client dynamic.ResourceInterface, name string, see func(*unstructured.Unstructured, error)) {
	failing := false
	for ctx.Err() == nil {
		err := followOnce(ctx, client, name, func(found *unstructured.Unstructured) {
			failing = false
			see(found, nil)
		})
		if err != nil && !failing && ctx.Err() == nil {
			failing = true
			see(nil, err)
		}
		pause.For(ctx, followPause)
	}
}

// followOnce reads the object and watches it until the watch ends.
func followOnce(ctx context.Context, client dynamic.ResourceInterface, name string, see func(*unstructured.Unstructured)) error {
	only := metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", name).String()}
	bounded, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	list, err := client.List(bounded, only)
	if err != nil {
		return err
	}
	see(nilOr(list.Items))
	only.ResourceVersion = list.GetResourceVersion()
	watching, err := client.Watch(ctx, only)
	if err != nil {
		return err
	}
	defer watching.Stop()
	defer context.AfterFunc(ctx, watching.Stop)()
	for event := range watching.ResultChan() {
		switch found, ok := event.Object.(*unstructured.Unstructured); {
		case event.Type == watch.Error:
			return ended(apierrors.FromObject(event.Object))
		case !ok:
			return fmt.Errorf("watch sent %T", event.Object)
		case event.Type == watch.Deleted:
			see(nil)
		default:
			see(found)
		}
	}
	return nil
}

// ended is nil for a watch that is merely to be begun anew.
func ended(err error) error {
	if apierrors.IsResourceExpired(err) || apierrors.IsGone(err) || errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func nilOr(items []unstructured.Unstructured) *unstructured.Unstructured {
	if len(items) == 0 {
		return nil
	}
	return &items[0]
}

// idle waits, until it is woken, or until ctx ends.
func idle(ctx context.Context, d time.Duration, wake <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-wake:
	case <-ctx.Done():
	}
}
