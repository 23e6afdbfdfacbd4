package apiserver

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/names"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/apiserver/pkg/storage/storagebackend/factory"
	"k8s.io/apiserver/pkg/warning"
	"k8s.io/client-go/tools/cache"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/apiserver/kvstorage"
)

// facade is how a kind presents itself in discovery.
type facade struct{ kind kind }

func (f facade) ShortNames() []string    { return f.kind.short }
func (f facade) GetSingularName() string { return f.kind.singular }

// Categories is what `kubectl get hanse` shows. It is not called fleet: that is a kind, and `kubectl edit fleet acme`
// would then look for an acme of every kind.
func (f facade) Categories() []string { return []string{"hanse"} }

// storedREST serves a kind that lies in the store.
type storedREST struct {
	*registry.Store
	facade
	shapes shapes
}

// GetSingularName is the facade's; the Store has one too.
func (r storedREST) GetSingularName() string { return r.facade.GetSingularName() }

// clusterREST serves clusters: they come into being by joining alone.
type clusterREST struct{ storedREST }

// Update refuses to create what is not there, which server-side apply would.
func (r clusterREST) Update(ctx context.Context, name string, obj rest.UpdatedObjectInfo, _ rest.ValidateObjectFunc,
	validate rest.ValidateObjectUpdateFunc, forceAllowCreate bool, opts *metav1.UpdateOptions) (runtime.Object, bool, error) {
	refuse := func(context.Context, runtime.Object) error {
		return apierrors.NewForbidden(v1alpha1.Resource("clusters"), name, fmt.Errorf("there is no such cluster; %s", joinHint))
	}
	return r.storedREST.Update(ctx, name, obj, refuse, validate, forceAllowCreate, opts)
}

// rolledOutREST serves what is rolled out. Its names go at once, and what clusters run of them later.
type rolledOutREST struct {
	storedREST
	deleted func(ctx context.Context, rolled v1alpha1.RolledOut, uid string) string
}

// Delete tells whoever deleted something what is to be known of that: kubectl says "deleted", and shows warnings.
func (r rolledOutREST) Delete(ctx context.Context, name string, validate rest.ValidateObjectFunc, opts *metav1.DeleteOptions) (runtime.Object, bool, error) {
	obj, gone, err := r.storedREST.Delete(ctx, name, validate, opts)
	if err != nil || !gone || opts != nil && len(opts.DryRun) > 0 {
		return obj, gone, err
	}
	if done, ok := obj.(*metav1.Status); ok && done.Details != nil {
		if said := r.deleted(ctx, v1alpha1.RolledOut{Kind: r.kind.kind, Name: name}, string(done.Details.UID)); said != "" {
			warning.AddWarning(ctx, kvstorage.WarningAgent, said)
		}
	}
	return obj, gone, nil
}

// statusREST is the subresource, for reading.
type statusREST struct{ store *registry.Store }

func (r statusREST) New() runtime.Object   { return r.store.New() }
func (r statusREST) Destroy()              {}
func (r statusREST) NamespaceScoped() bool { return false }

// Get implements rest.Getter.
func (r statusREST) Get(ctx context.Context, name string, opts *metav1.GetOptions) (runtime.Object, error) {
	return r.store.Get(ctx, name, opts)
}

// ConvertToTable implements rest.TableConvertor.
func (r statusREST) ConvertToTable(ctx context.Context, obj, options runtime.Object) (*metav1.Table, error) {
	return r.store.ConvertToTable(ctx, obj, options)
}

// resources is what serves each resource.
func (s *Server) resources() (map[string]rest.Storage, error) {
	all := map[string]rest.Storage{}
	for _, k := range served() {
		if k.computed {
			all[k.plural] = s.computedREST(k)
			continue
		}
		store, err := s.registry(k)
		if err != nil {
			return nil, fmt.Errorf("serve %s: %w", k.plural, err)
		}
		if k.readOnly {
			read := readREST{store, facade{k}}
			all[k.plural], all[k.plural+"/before"] = read, beforeREST{read, s.pasts()}
			continue
		}
		all[k.plural] = storedREST{store, facade{k}, s.shapes}
		if k.plural == "clusters" {
			all[k.plural] = clusterREST{storedREST{store, facade{k}, s.shapes}}
		}
		if v1alpha1.IsRolledOut(k.kind) && s.config.Deleted != nil {
			all[k.plural] = rolledOutREST{storedREST{store, facade{k}, s.shapes}, s.config.Deleted}
		}
		if k.keepStatus != nil {
			all[k.plural+"/status"] = statusREST{store}
		}
	}
	return all, nil
}

func (s *Server) computedREST(k kind) *computedREST {
	timing := s.config.Timing.Completed()
	state := kvstorage.New(kvstorage.Config{Store: s.config.Store, Quorum: s.quorum, Timing: timing, Resource: v1alpha1.Resource(k.plural), Prefix: "/" + k.plural})
	return &computedREST{facade: facade{k}, table: k.table, log: newComputedLog(s.config.Computed[k.plural]), state: state, timing: timing}
}

func (s *Server) registry(k kind) (*registry.Store, error) {
	strategy := strategy{ObjectTyper: s.scheme, NameGenerator: names.SimpleNameGenerator, kind: k, fleet: s.config.Fleet}
	store := &registry.Store{
		NewFunc:                   k.new,
		NewListFunc:               k.newList,
		PredicateFunc:             predicate(k),
		DefaultQualifiedResource:  v1alpha1.Resource(k.plural),
		SingularQualifiedResource: v1alpha1.Resource(k.singular),
		CreateStrategy:            strategy,
		UpdateStrategy:            strategy,
		DeleteStrategy:            strategy,
		ResetFieldsStrategy:       strategy,
		TableConvertor:            k.table,
	}
	if k.kind == "RecipientGroup" && s.config.Holders != nil {
		store.TableConvertor = groupTable(s.config.Holders)
	}
	return store, store.CompleteWithOptions(&generic.StoreOptions{RESTOptions: s, AttrFunc: attributes(k)})
}

func predicate(k kind) func(labels.Selector, fields.Selector) storage.SelectionPredicate {
	return func(label labels.Selector, field fields.Selector) storage.SelectionPredicate {
		return storage.SelectionPredicate{Label: label, Field: field, GetAttrs: attributes(k)}
	}
}

// attributes are what selectors see of an object.
func attributes(k kind) storage.AttrFunc {
	return func(obj runtime.Object) (labels.Set, fields.Set, error) {
		m, err := meta.Accessor(obj)
		if err != nil {
			return nil, nil, err
		}
		set := fields.Set{"metadata.name": m.GetName()}
		if k.selectable != nil {
			for field, value := range k.selectable(obj) {
				set[field] = value
			}
		}
		return m.GetLabels(), set, nil
	}
}

// GetRESTOptions implements generic.RESTOptionsGetter: every resource lies in our store.
func (s *Server) GetRESTOptions(resource schema.GroupResource, _ runtime.Object) (generic.RESTOptions, error) {
	codec := s.codecs.LegacyCodec(v1alpha1.SchemeGroupVersion)
	return generic.RESTOptions{
		StorageConfig: &storagebackend.ConfigForResource{
			Config:        storagebackend.Config{Codec: codec, EncodeVersioner: v1alpha1.SchemeGroupVersion},
			GroupResource: resource,
		},
		EnableGarbageCollection: true, // by the controllers of the clusters that this API is aggregated into
		ResourcePrefix:          "/" + resource.Resource,
		DeleteCollectionWorkers: 1,
		Decorator: func(_ *storagebackend.ConfigForResource, prefix string, _ func(runtime.Object) (string, error),
			newFunc, _ func() runtime.Object, _ storage.AttrFunc, _ storage.IndexerFuncs, _ *cache.Indexers) (storage.Interface, factory.DestroyFunc, error) {
			return kvstorage.New(kvstorage.Config{
				Store: s.config.Store, Companion: s.config.Companion, Foretell: s.config.Foretell, Judge: s.config.Judge, Asker: Asking, Quorum: s.quorum, Audience: s.audience, Timing: s.config.Timing,
				Resource: resource, Prefix: prefix, Codec: codec, Decode: s.decode, New: newFunc,
			}), func() {}, nil
		},
	}, nil
}
