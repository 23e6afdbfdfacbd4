package aggregate

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

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
	for h := (hold{}); ctx.Err() == nil; {
		s, outlives, err := a.round(ctx, h)
		if ctx.Err() != nil {
			return
		}
		a.stand(s)
		told = a.tell(outlives, err, told)
		h = h.after(s, time.Now(), a.config.life())
		wait := h.wait(time.Now(), keepPause, a.config.life())
		if err != nil && !errors.Is(err, ErrForeign) && !errors.Is(err, errLetGo) {
			wait = keepRetry
		}
		pause.For(ctx, keepLeast)
		idle(ctx, wait-keepLeast, a.changed)
	}
}

// round registers the API, or takes it out while it is let go.
func (a *Aggregation) round(ctx context.Context, h hold) (s Standing, outlives, err error) {
	var registered *unstructured.Unstructured
	if h.letGo(time.Now()) {
		err = a.release(ctx)
	} else {
		registered, outlives, err = a.register(ctx)
	}
	return standingOf(registered, outlives, err), outlives, err
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
func (a *Aggregation) tell(outlives, err error, told string) (now string) {
	switch {
	case err != nil:
		if now = err.Error(); now != told {
			a.config.Logger.Warn("the fleet's API is not in this cluster", "err", err)
		}
	case outlives != nil:
		if now = outlives.Error(); now != told {
			a.config.Logger.Warn("the fleet's API is in this cluster, and would stay there when this member is dead", "err", outlives)
		}
	default:
		if now = "registered"; now != told {
			a.config.Logger.Info("the fleet's API is in this cluster", "apiservice", apiServiceName, "address", a.config.Address)
		}
	}
	return now
}

// stand keeps how a round ended. A round that ended without anything to say leaves what was said.
func (a *Aggregation) stand(now Standing) {
	if now != (Standing{}) {
		a.standing.Store(&now)
	}
}

// register makes one round, and returns the APIService. The member's life is renewed first: what fails beside it is no death. The
// APIService comes last, when what it points to is there. outlives is why it would stay for good when the member is dead: a member
// that may not make the one may make the other.
func (a *Aggregation) register(ctx context.Context) (registered *unstructured.Unstructured, outlives, err error) {
	owner := a.config.owner()
	if err := a.contested(ctx); err != nil {
		return nil, nil, &objectError{registration(a.backend, owner, nil), err}
	}
	if _, err := a.ensure(ctx, home(owner)); err != nil {
		return nil, nil, &objectError{home(owner), err}
	}
	goesWith, outlives := a.alive(ctx)
	for _, o := range append(roles(owner), route(a.backend, owner)...) {
		if _, err := a.ensure(ctx, o); err != nil {
			return nil, nil, &objectError{o, err}
		}
	}
	for _, o := range detour(a.backend, owner) {
		if _, err := o.remove(ctx, a.client, owner); err != nil {
			return nil, nil, &objectError{o, err}
		}
	}
	last := registration(a.backend, owner, a.certificate.bundle)
	if outlives == nil {
		last.wanted.SetOwnerReferences([]metav1.OwnerReference{goesWith})
	}
	last.keepsOwner = passes(outlives)
	if registered, err = a.ensure(ctx, last); err != nil {
		return nil, nil, &objectError{last, err}
	}
	a.rival = rival{had: true}
	if last.keepsOwner && len(registered.GetOwnerReferences()) > 0 {
		outlives = nil // the next round renews the life, long before it ends
	}
	return registered, outlives, nil
}

// passes says of what kept a life from being renewed that it may be over soon: the cluster was slow, or somebody was faster.
func passes(outlives error) bool {
	return outlives != nil && !errors.Is(outlives, ErrForeign) && !errors.Is(outlives, errAsleep) &&
		!apierrors.IsForbidden(outlives) && !apierrors.IsInvalid(outlives) && !apierrors.IsNotFound(outlives)
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
		if o.keepsOwner {
			wanted.SetOwnerReferences(found.GetOwnerReferences())
		}
	}
	where := fmt.Sprintf("%v %s/%s", o.resource, wanted.GetNamespace(), wanted.GetName())
	if found != nil && a.left[where].is(wanted) {
		return found, nil
	}
	delete(a.left, where)
	made, err := applied(ctx, client, wanted)
	if apierrors.IsInvalid(err) && found != nil && o.remakes {
		if _, err := o.remove(ctx, a.client, a.config.owner()); err != nil {
			return nil, err
		}
		return applied(ctx, client, o.wanted)
	}
	if err == nil {
		wanted.SetUID(made.GetUID())
		wanted.SetResourceVersion(made.GetResourceVersion())
		a.left[where] = applyLeft{wanted}
	}
	return made, err
}

// applyLeft is what an apply asked for, with the UID and version in which that left the object.
type applyLeft struct{ *unstructured.Unstructured }

// is says that the same is wanted of the same version: nobody has written to it since.
func (l applyLeft) is(wanted *unstructured.Unstructured) bool {
	return l.Unstructured != nil && equality.Semantic.DeepEqual(l.Object, wanted.Object)
}

// applied writes an object, in the version that it says, or anew when it says none.
func applied(ctx context.Context, client dynamic.ResourceInterface, wanted *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	data, err := json.Marshal(wanted)
	if err != nil {
		return nil, err
	}
	force := wanted.GetResourceVersion() != ""
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
