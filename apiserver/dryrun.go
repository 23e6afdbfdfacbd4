package apiserver

import (
	"context"

	"k8s.io/apimachinery/pkg/api/meta"
	metainternal "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/util/dryrun"

	"github.com/hanse-fleet/hanse/apiserver/kvstorage"
)

// A dry run asks the law like the write that it stands for. It never comes to the storage, so the law is asked where the
// object is validated last.

// Create implements rest.Creater.
func (r storedREST) Create(ctx context.Context, obj runtime.Object, validate rest.ValidateObjectFunc, opts *metav1.CreateOptions) (runtime.Object, error) {
	made, err := r.Store.Create(ctx, obj, r.lawful(validate, opts.DryRun, false), opts)
	return made, r.told(ctx, err)
}

// Update implements rest.Updater.
func (r storedREST) Update(ctx context.Context, name string, obj rest.UpdatedObjectInfo, create rest.ValidateObjectFunc,
	update rest.ValidateObjectUpdateFunc, forceAllowCreate bool, opts *metav1.UpdateOptions) (runtime.Object, bool, error) {
	lawful := func(ctx context.Context, obj, old runtime.Object) error {
		validate := func(ctx context.Context, obj runtime.Object) error { return update(ctx, obj, old) }
		return r.lawful(validate, opts.DryRun, false)(ctx, obj)
	}
	made, created, err := r.Store.Update(ctx, name, patched{obj, r.kind, r.shapes}, r.lawful(create, opts.DryRun, false), lawful, forceAllowCreate, opts)
	return made, created, r.told(ctx, err)
}

// Delete implements rest.GracefulDeleter.
func (r storedREST) Delete(ctx context.Context, name string, validate rest.ValidateObjectFunc, opts *metav1.DeleteOptions) (runtime.Object, bool, error) {
	obj, gone, err := r.Store.Delete(ctx, name, r.lawful(validate, opts.DryRun, true), opts)
	return obj, gone, r.told(ctx, err)
}

// DeleteCollection implements rest.CollectionDeleter.
func (r storedREST) DeleteCollection(ctx context.Context, validate rest.ValidateObjectFunc, opts *metav1.DeleteOptions, which *metainternal.ListOptions) (runtime.Object, error) {
	all, err := r.Store.DeleteCollection(ctx, r.lawful(validate, opts.DryRun, true), opts, which)
	return all, r.told(ctx, err)
}

// lawful is a validation that asks the law, too, in a dry run.
func (r storedREST) lawful(validate rest.ValidateObjectFunc, dry []string, gone bool) rest.ValidateObjectFunc {
	if !dryrun.IsDryRun(dry) {
		return validate
	}
	return func(ctx context.Context, obj runtime.Object) error {
		if err := validate(ctx, obj); err != nil {
			return err
		}
		return r.try(ctx, obj, gone)
	}
}

// try asks the law about an object that would be so, or gone.
func (r storedREST) try(ctx context.Context, obj runtime.Object, gone bool) error {
	m, err := meta.Accessor(obj)
	if err != nil {
		return err
	}
	after := obj
	if gone {
		after = nil
	}
	return r.Storage.Storage.(*kvstorage.Storage).Try(ctx, m.GetName(), after)
}
