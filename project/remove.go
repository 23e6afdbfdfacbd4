package project

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
)

// Remove takes all that shows a fleet out of a cluster: for a member that is none any more, or is not to show anything. What
// is not ours, and definitions, stay. Nobody may project into the cluster at the same time.
func Remove(ctx context.Context, c *rest.Config, fleet string) error {
	p, err := New(Config{REST: c})
	if err != nil {
		return err
	}
	var errs []error
	for _, s := range standards {
		if err := p.newProjection(s).clear(ctx, fleet); err != nil {
			errs = append(errs, fmt.Errorf("take %s out of the cluster: %w", s.kind, err))
		}
	}
	return errors.Join(errs...)
}

// clear deletes what is ours of one kind, and what the kind's namespace says of the fleet.
func (p *projection) clear(ctx context.Context, fleet string) error {
	p.fleet.Name = fleet
	list, err := p.list(ctx)
	if apierrors.IsNotFound(err) {
		return nil // the cluster does not know the kind
	}
	if err != nil {
		return err
	}
	var errs []error
	for i := range list.Items {
		if u := &list.Items[i]; applied(u) {
			errs = append(errs, p.delete(ctx, u.GetName(), u.GetUID(), u.GetResourceVersion()))
		}
	}
	if p.namespace != "" {
		errs = append(errs, p.unlabelNamespace(ctx))
	}
	return errors.Join(errs...)
}

// delete deletes an object in exactly the version that was looked at.
func (p *projection) delete(ctx context.Context, name string, uid types.UID, version string) error {
	ctx, cancel := context.WithTimeout(ctx, p.config.Timing.Request)
	defer cancel()
	err := p.client.Delete(ctx, name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid, ResourceVersion: &version}})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// unlabelNamespace gives up what labelNamespace applied.
func (p *projection) unlabelNamespace(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, p.config.Timing.Request)
	defer cancel()
	there, err := p.namespaces.Get(ctx, p.namespace, metav1.GetOptions{})
	if apierrors.IsNotFound(err) || err == nil && !applied(there) {
		return nil
	}
	if err != nil {
		return err
	}
	nothing := &unstructured.Unstructured{}
	nothing.SetAPIVersion("v1")
	nothing.SetKind("Namespace")
	nothing.SetName(p.namespace)
	nothing.SetUID(there.GetUID())
	_, err = p.namespaces.Apply(ctx, p.namespace, nothing, metav1.ApplyOptions{FieldManager: FieldManager})
	return err
}
