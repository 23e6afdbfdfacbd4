package project

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var namespaces = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}

// create makes an object that is not there. What is there after all is looked at instead: it lost its label, or is not ours.
func (p *projection) create(ctx context.Context, w want) error {
	name := w.name
	bounded, cancel := context.WithTimeout(ctx, p.config.Timing.Request)
	there, err := p.client.Get(bounded, name, metav1.GetOptions{})
	cancel()
	switch {
	case err == nil:
		if l := see(there, p.fleet.Name, &w); l.ours {
			return p.update(ctx, w, l)
		}
		p.tell(name, foreign) // not kept: that it goes is not seen by our watch, so it is looked for again
		return nil
	case !apierrors.IsNotFound(err):
		return fmt.Errorf("read %s %s: %w", p.kind, name, err)
	}
	return p.write(ctx, w, nil)
}

func (p *projection) update(ctx context.Context, w want, l live) error { return p.write(ctx, w, &l) }

// write applies an object, its status besides. One that is there is written only in the version that was decided about;
// one that is not is made without force, so nothing that slips in between is overwritten.
func (p *projection) write(ctx context.Context, w want, l *live) error {
	u := w.marked(p.fleet)
	options := metav1.ApplyOptions{FieldManager: FieldManager}
	if l != nil {
		u.SetUID(l.uid)
		u.SetResourceVersion(l.version)
		options.Force = true
	}
	status, hasStatus := u.Object["status"]
	delete(u.Object, "status")
	there, err := p.apply(ctx, u, options)
	if err == nil && hasStatus {
		u.Object["status"] = status
		options.Force = true
		u.SetUID(there.GetUID())
		u.SetResourceVersion(there.GetResourceVersion())
		there, err = p.apply(ctx, u, options, "status")
	}
	switch {
	case err == nil:
		p.saw(there)
		return nil
	case apierrors.IsConflict(err):
		return p.reread(ctx, w.name)
	}
	return fmt.Errorf("write %s %s: %w", p.kind, w.name, err)
}

func (p *projection) apply(ctx context.Context, u *unstructured.Unstructured, o metav1.ApplyOptions, subresource ...string) (*unstructured.Unstructured, error) {
	ctx, cancel := context.WithTimeout(ctx, p.config.Timing.Request)
	defer cancel()
	return p.client.Apply(ctx, u.GetName(), u, o, subresource...)
}

// reread looks at an object that changed while it was decided about; the next pass decides again.
func (p *projection) reread(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, p.config.Timing.Request)
	defer cancel()
	there, err := p.client.Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		delete(p.lives, name)
	case err != nil:
		return fmt.Errorf("read %s %s: %w", p.kind, name, err)
	default:
		p.saw(there)
	}
	return fmt.Errorf("%s %s changed while it was written", p.kind, name)
}

// remove deletes exactly the object that was decided about.
func (p *projection) remove(ctx context.Context, name string, l live) error {
	if err := p.delete(ctx, name, l.uid, l.version); err != nil {
		return fmt.Errorf("delete %s %s: %w", p.kind, name, err)
	}
	p.logger.Info("what it showed was removed from the fleet; the projection is deleted", "name", name)
	delete(p.lives, name)
	return nil
}

// labelNamespace says of which fleet the inventory in the namespace is. Who says another stays in the right.
func (p *projection) labelNamespace(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, p.config.Timing.Request)
	defer cancel()
	u := &unstructured.Unstructured{}
	u.SetAPIVersion("v1")
	u.SetKind("Namespace")
	u.SetName(p.namespace)
	u.SetLabels(map[string]string{labelClusterSet: p.fleet.Name})
	if _, err := p.namespaces.Apply(ctx, p.namespace, u, metav1.ApplyOptions{FieldManager: FieldManager}); err != nil {
		p.logger.Warn("the namespace does not bear the fleet's name", "namespace", p.namespace, "err", err)
	}
}
