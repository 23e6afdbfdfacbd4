package aggregate

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-fleet/hanse/internal/pause"
)

const (
	// keepPause is how often all objects are looked at; a change of the APIService is seen at once.
	keepPause = 30 * time.Second
	// keepLeast is how long a round waits for the next one at least: somebody may change the APIService again and again.
	keepLeast = time.Second
	// keepRetry is how long a round that failed waits for the next one.
	keepRetry = 2 * time.Second
)

// ErrForeign means that an object of one of our names is somebody else's. It is left alone.
var ErrForeign = errors.New("it is not this member's and is left alone")

// keep makes the registration as it should be, again and again, until ctx ends.
func (a *Aggregation) keep(ctx context.Context) {
	told := ""
	for ctx.Err() == nil {
		registered, err := a.register(ctx)
		if ctx.Err() != nil {
			return
		}
		a.stand(standingOf(registered, err))
		told = a.tell(err, told)
		wait := keepPause
		if err != nil && !errors.Is(err, ErrForeign) {
			wait = keepRetry
		}
		pause.For(ctx, keepLeast)
		idle(ctx, wait-keepLeast, a.changed)
	}
}

// followRegistration wakes keep when anybody changes the APIService.
func (a *Aggregation) followRegistration(ctx context.Context) {
	follow(ctx, a.client.Resource(apiServices), apiServiceName, func(*unstructured.Unstructured, error) {
		select {
		case a.changed <- struct{}{}:
		default: // it is awake
		}
	})
}

// tell logs what is new about the registration, and returns what to compare the next with.
func (a *Aggregation) tell(err error, told string) string {
	if err == nil {
		if told != "registered" {
			a.config.Logger.Info("the fleet's API is in this cluster", "apiservice", apiServiceName, "address", a.config.Address)
		}
		return "registered"
	}
	if err.Error() != told {
		a.config.Logger.Warn("the fleet's API is not in this cluster", "err", err)
	}
	return err.Error()
}

// stand keeps how a round ended. A round that ended without anything to say leaves what was said.
func (a *Aggregation) stand(now Standing) {
	if now != (Standing{}) {
		a.standing.Store(&now)
	}
}

// register makes one round, and returns the APIService. It comes last, when what it points to is there.
func (a *Aggregation) register(ctx context.Context) (registered *unstructured.Unstructured, err error) {
	owner := a.config.owner()
	objects := append(roles(owner), home(owner))
	objects = append(objects, route(a.backend, owner)...)
	objects = append(objects, registration(a.backend, owner, a.certificate.bundle))
	for _, o := range objects {
		if registered, err = a.ensure(ctx, o); err != nil {
			return nil, &objectError{o, err}
		}
	}
	return registered, nil
}

// ensure makes one object as it should be, unless it is somebody else's. An object that is there is written to only in
// the version that was looked at, and one that is not is created without force, so nothing slips in between. It returns
// the object as it is now.
func (a *Aggregation) ensure(ctx context.Context, o object) (*unstructured.Unstructured, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	client, wanted := o.in(a.client), o.wanted.DeepCopy()
	found, err := client.Get(ctx, wanted.GetName(), metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		found = nil
	case err != nil:
		return nil, err
	case o.resource == namespaces:
		return found, nil // the reconciler's too
	default:
		if err := foreign(found, a.config.owner()); err != nil {
			return nil, err
		}
		wanted.SetUID(found.GetUID())
		wanted.SetResourceVersion(found.GetResourceVersion())
		a.keepBundle(wanted, found)
	}
	data, err := json.Marshal(wanted)
	if err != nil {
		return nil, err
	}
	force := found != nil
	return client.Patch(ctx, wanted.GetName(), types.ApplyPatchType, data, metav1.PatchOptions{FieldManager: manager, Force: &force})
}

// foreign is an error when an object is not of this member: unmarked, or of another one.
func foreign(found *unstructured.Unstructured, owner string) error {
	switch of := found.GetAnnotations()[annotationOwner]; of {
	case owner:
		return nil
	case "":
		return fmt.Errorf("%w: who made it is not known", ErrForeign)
	default:
		return fmt.Errorf("%w: it is of member %s", ErrForeign, of)
	}
}

// keepBundle leaves a caBundle that vouches for the certificate as it is.
func (a *Aggregation) keepBundle(wanted, found *unstructured.Unstructured) {
	text, ok, _ := unstructured.NestedString(found.Object, "spec", "caBundle")
	if bundle, err := base64.StdEncoding.DecodeString(text); ok && err == nil && vouches(bundle, a.certificate.Leaf) {
		wanted.Object["spec"].(map[string]any)["caBundle"] = text
	}
}
