package apiserver

import (
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	apirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/apiserver/kvstorage"
)

func changeKind() kind {
	return kind{
		kind: "Change", plural: "changes", singular: "change", short: []string{"chg"}, readOnly: true,
		new: newOf[v1alpha1.Change], newList: newOf[v1alpha1.ChangeList], table: changeTable(),
		selectable: func(obj runtime.Object) map[string]string {
			c := obj.(*v1alpha1.Change).Spec
			return map[string]string{"spec.resource": c.Resource, "spec.name": c.Name, "spec.uid": c.UID, "spec.verb": string(c.Verb),
				"spec.by": c.By, "spec.through": c.Through}
		},
	}
}

func changeTable() table {
	type c = v1alpha1.Change
	return table{
		col("Object", "what was changed", func(c *c) string { return c.Spec.Resource + "/" + briefly(c.Spec.Name) }),
		col("Verb", "what was done to it", func(c *c) string { return string(c.Spec.Verb) }),
		col("By", "who did it", func(c *c) string { return c.Spec.By }),
		col("Through", "cluster whose member was asked", func(c *c) string { return c.Spec.Through }),
		num("Revision", "revision of the fleet that the change made", func(c *c) int64 {
			rev, _ := strconv.ParseInt(c.ResourceVersion, 10, 64) // the storage wrote it
			return rev
		}),
		col("Revealed", "yes when it says no more than that whoever did it was told a secret", func(c *c) string { return map[bool]string{true: "yes"}[c.Spec.Revealed] }),
		onlyWide(nameColumn()),
		onlyWide(col("Fields", "what is different", func(c *c) string { return strings.Join(c.Spec.Fields, ",") })),
		onlyWide(col("From", "where the request came from", func(c *c) string { return c.Spec.SourceIP })),
		onlyWide(col("With", "program that asked", func(c *c) string { return c.Spec.UserAgent })),
	}
}

// briefly is a name that fits into a column: those of tokens are keys of 64 digits.
func briefly(name string) string {
	const brief = 12
	if raw, err := hex.DecodeString(name); err != nil || len(raw) < 32 {
		return name
	}
	return name[:brief] + "…"
}

// readREST serves a kind that lies in the store and that nobody writes here. It has no verbs to: so discovery tells
// garbage collectors that there is nothing for them to delete.
type readREST struct {
	store *registry.Store
	facade
}

func (r readREST) New() runtime.Object     { return r.store.New() }
func (r readREST) NewList() runtime.Object { return r.store.NewList() }
func (r readREST) Destroy()                {}
func (r readREST) NamespaceScoped() bool   { return false }

// Categories are none: there is far more of this than of all else.
func (r readREST) Categories() []string { return nil }

// Get implements rest.Getter.
func (r readREST) Get(ctx context.Context, name string, opts *metav1.GetOptions) (runtime.Object, error) {
	return r.store.Get(ctx, name, opts)
}

// List implements rest.Lister.
func (r readREST) List(ctx context.Context, opts *metainternalversion.ListOptions) (runtime.Object, error) {
	return r.store.List(ctx, opts)
}

// Watch implements rest.Watcher.
func (r readREST) Watch(ctx context.Context, opts *metainternalversion.ListOptions) (watch.Interface, error) {
	return r.store.Watch(ctx, opts)
}

// ConvertToTable implements rest.TableConvertor.
func (r readREST) ConvertToTable(ctx context.Context, obj, options runtime.Object) (*metav1.Table, error) {
	return r.store.ConvertToTable(ctx, obj, options)
}

// beforeREST is the subresource of a change that tells what was before it, until an admin strikes that off.
type beforeREST struct {
	changes readREST
	pasts   *kvstorage.Storage
}

var (
	_ rest.Getter          = beforeREST{}
	_ rest.GracefulDeleter = beforeREST{}
)

// pasts is the storage of what was before changes. They are of every kind, so none is read as one.
func (s *Server) pasts() *kvstorage.Storage {
	return kvstorage.New(kvstorage.Config{
		Store: s.config.Store, Companion: s.config.Companion, Asker: Asking, Quorum: s.quorum, Audience: s.audience, Timing: s.config.Timing,
		Resource: v1alpha1.Resource("changes"), Prefix: strings.TrimSuffix(v1alpha1.KeyPasts, "/"), New: newOf[v1alpha1.Change],
		Decode: func([]byte, runtime.Object) error { return nil },
	})
}

func (r beforeREST) New() runtime.Object   { return r.changes.New() }
func (r beforeREST) Destroy()              {}
func (r beforeREST) NamespaceScoped() bool { return false }

// Get returns the change with the object as it was. What a user was is for those who may see users.
func (r beforeREST) Get(ctx context.Context, name string, opts *metav1.GetOptions) (runtime.Object, error) {
	obj, err := r.changes.Get(ctx, name, opts)
	if err != nil {
		return nil, err
	}
	c := obj.(*v1alpha1.Change)
	if asker, _ := apirequest.UserFrom(ctx); c.Spec.Resource == "users" && (isGuest(ctx) || rank(roleOf(asker)) < rank(v1alpha1.RoleAdmin)) {
		return nil, apierrors.NewForbidden(v1alpha1.Resource("changes"), name, errors.New("what users were is for the fleet's own admins to see; use an admin's kubeconfig, of hanse user create"))
	}
	if kv, there := r.pasts.Store.View().Get(v1alpha1.KeyPasts + name); there {
		c.Spec.Before = &runtime.RawExtension{Raw: slices.Clone(kv.Value)}
	}
	return c, nil
}

// Delete strikes off what was before the change. It answers with the change, at the revision of this.
func (r beforeREST) Delete(ctx context.Context, name string, validate rest.ValidateObjectFunc, opts *metav1.DeleteOptions) (runtime.Object, bool, error) {
	obj, err := r.changes.Get(ctx, name, &metav1.GetOptions{})
	if err == nil && validate != nil {
		err = validate(ctx, obj)
	}
	if err != nil {
		return nil, false, err
	}
	struck := r.changes.New()
	if len(opts.DryRun) > 0 {
		return obj, true, nil
	}
	err = r.pasts.Delete(ctx, v1alpha1.KeyPasts+name, struck, nil, rest.ValidateAllObjectFunc, nil, storage.DeleteOptions{})
	if storage.IsNotFound(err) {
		return nil, false, apierrors.NewNotFound(v1alpha1.Resource("changes/before"), name)
	}
	if err != nil {
		return nil, false, err
	}
	c := obj.(*v1alpha1.Change)
	c.ResourceVersion = struck.(*v1alpha1.Change).ResourceVersion
	return c, true, nil
}
