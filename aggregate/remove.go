package aggregate

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
)

// Remove takes a member's API out of its cluster: the APIService first, or namespaces could not be deleted there and
// discovery would fail; then what it pointed to. What is another's, or not there, stays as it is. The namespace stays:
// it holds what the reconciler remembers.
func Remove(ctx context.Context, c *rest.Config, fleet, cluster string) error {
	client, err := newClient(c)
	if err != nil {
		return fmt.Errorf("take the fleet's API out of the cluster: %w", err)
	}
	owner := Config{Fleet: fleet, Cluster: cluster}.owner()
	// Which way the Service went, and what it was called by, does not matter now.
	objects := append([]object{registration(backend{}, owner, nil)}, route(backend{ip: anyAddress}, owner)...)
	objects = append(objects, heart(owner, metav1.OwnerReference{}))
	for _, o := range append(objects, roles(owner)...) {
		removed, err := o.remove(ctx, client, owner)
		if err == nil && o.resource == services {
			err = endLives(ctx, client, removed.GetOwnerReferences())
		}
		if err != nil {
			return fmt.Errorf("take the fleet's API out of the cluster: %s: %w", o, err)
		}
	}
	return nil
}

// remove deletes what is there under the object's name, if it is of the owner, and returns what it was; empty when it was not.
func (o object) remove(ctx context.Context, client dynamic.Interface, owner string) (removed *unstructured.Unstructured, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	none := new(unstructured.Unstructured)
	found, err := o.in(client).Get(ctx, o.wanted.GetName(), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return none, nil
	}
	if err == nil {
		err = foreign(found, owner)
	}
	if errors.Is(err, ErrForeign) {
		return none, nil
	}
	if err != nil {
		return none, err
	}
	uid, version := found.GetUID(), found.GetResourceVersion()
	err = o.in(client).Delete(ctx, found.GetName(), metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid, ResourceVersion: &version}})
	if apierrors.IsNotFound(err) {
		err = nil
	}
	return found, err
}
