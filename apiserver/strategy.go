package apiserver

import (
	"context"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	apirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/storage/names"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// strategy is what happens to an object of a stored kind on its way in.
type strategy struct {
	runtime.ObjectTyper
	names.NameGenerator
	kind  kind
	fleet string
}

func (s strategy) NamespaceScoped() bool                         { return false }
func (s strategy) AllowCreateOnUpdate(context.Context) bool      { return false }
func (s strategy) AllowUnconditionalUpdate(context.Context) bool { return true }
func (s strategy) Canonicalize(runtime.Object)                   {}

// PrepareForCreate gives a new object its first generation and no status.
func (s strategy) PrepareForCreate(ctx context.Context, obj runtime.Object) {
	s.prepare(obj, nil)
	stamp(ctx, obj, nil)
	setGeneration(obj, 1)
}

// PrepareForUpdate keeps the status, and counts a changed spec as a new generation.
func (s strategy) PrepareForUpdate(ctx context.Context, obj, old runtime.Object) {
	s.prepare(obj, old)
	stamp(ctx, obj, old)
	generation := generationOf(old)
	if s.kind.changed(obj, old) {
		generation++
	}
	setGeneration(obj, generation)
}

func (s strategy) prepare(obj, old runtime.Object) {
	if s.kind.keepStatus != nil {
		s.kind.keepStatus(obj, old)
	}
	if s.kind.prepare != nil {
		s.kind.prepare(obj)
	}
}

// stamp says who suspends an object, and since when, and until when an order to put something right holds.
func stamp(ctx context.Context, obj, old runtime.Object) {
	m, err := meta.Accessor(obj)
	if err != nil {
		return
	}
	by := ""
	if u, ok := apirequest.UserFrom(ctx); ok {
		by = u.GetName()
	}
	before, err := meta.Accessor(old)
	if err != nil {
		before = nil
	}
	now := time.Now()
	v1alpha1.StampSuspension(m, before, by, now)
	v1alpha1.StampCorrection(m, before, now)
}

func generationOf(obj runtime.Object) int64 {
	m, err := meta.Accessor(obj)
	if err != nil {
		return 0
	}
	return m.GetGeneration()
}

func setGeneration(obj runtime.Object, generation int64) {
	if m, err := meta.Accessor(obj); err == nil {
		m.SetGeneration(generation)
	}
}

// Validate checks a new object.
func (s strategy) Validate(_ context.Context, obj runtime.Object) field.ErrorList {
	errs := validateOwners(obj)
	if s.kind.validate != nil {
		errs = append(errs, s.kind.validate(s.fleet, obj)...)
	}
	return errs
}

// owners are the kinds that may own others.
func owners() (kinds []string) {
	for _, k := range served() {
		if k.owns {
			kinds = append(kinds, k.kind)
		}
	}
	return kinds
}

// validateOwners refuses owners that are not of the fleet, or go by themselves. Every cluster's garbage collector sees every
// object of the fleet, and deletes what is owned by something that it does not find: what lives in another cluster, what is
// computed and has no UID, what is forgotten by age.
func validateOwners(obj runtime.Object) (errs field.ErrorList) {
	m, err := meta.Accessor(obj)
	if err != nil {
		return nil
	}
	at := field.NewPath("metadata", "ownerReferences")
	for i, owner := range m.GetOwnerReferences() {
		switch group, _, _ := strings.Cut(owner.APIVersion, "/"); {
		case group == v1alpha1.GroupName && !slices.Contains(owners(), owner.Kind):
			errs = append(errs, field.NotSupported(at.Index(i).Child("kind"), owner.Kind, owners()))
		case group != v1alpha1.GroupName:
			errs = append(errs, field.Invalid(at.Index(i).Child("apiVersion"), owner.APIVersion,
				"only an object of "+v1alpha1.GroupName+" can own one: in other clusters there is no such "+owner.Kind+", and their garbage collectors would delete this"))
		}
	}
	return errs
}

// ValidateUpdate checks the object as it would become.
func (s strategy) ValidateUpdate(ctx context.Context, obj, _ runtime.Object) field.ErrorList {
	return s.Validate(ctx, obj)
}

func (s strategy) WarningsOnCreate(context.Context, runtime.Object) []string { return nil }

func (s strategy) WarningsOnUpdate(context.Context, runtime.Object, runtime.Object) []string {
	return nil
}

// GetResetFields tells server-side apply which fields people cannot own.
func (s strategy) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	if s.kind.keepStatus == nil {
		return nil
	}
	return map[fieldpath.APIVersion]*fieldpath.Set{
		fieldpath.APIVersion(v1alpha1.SchemeGroupVersion.String()): fieldpath.NewSet(fieldpath.MakePathOrDie("status")),
	}
}
