package apiserver

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/conversion"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/express"
	"github.com/hanse-fleet/hanse/render"
)

// kind is all that tells one kind from another.
type kind struct {
	kind, plural, singular string
	short                  []string
	new, newList           func() runtime.Object
	// owns says that its objects may own others: they go only when somebody deletes them.
	owns bool
	// computed says that it does not lie in the store: Config.Computed has it.
	computed bool
	// readOnly says that it lies in the store, and nobody writes it by the API.
	readOnly bool
	// discreet says that what somebody writes into it by mistake may be a secret: no error repeats a value of it, and no log.
	discreet bool
	table    table
	// selectable are the fields that selectors may name, beside metadata.name.
	selectable func(runtime.Object) map[string]string
	// keepStatus makes the status of an object, and what else no person says of it, that of the old one, or empty when there is none; nil
	// for kinds without the status subresource.
	keepStatus func(obj, old runtime.Object)
	// prepare sets what follows from what people set.
	prepare func(obj runtime.Object)
	// spec is what counts as a change of generation.
	spec     func(runtime.Object) any
	validate func(fleet string, obj runtime.Object) field.ErrorList
}

// served is every kind that is served.
func served() []kind {
	return []kind{fleetKind(), clusterKind(), userKind(), bundleKind(), revisionKind(), rolloutKind(), workKind(), metricsKind(), changeKind(), groupKind(), secretKind()}
}

func fleetKind() kind {
	return kind{
		kind: "Fleet", owns: true, discreet: true, plural: "fleets", singular: "fleet", short: []string{"fl"},
		new: newOf[v1alpha1.Fleet], newList: newOf[v1alpha1.FleetList], table: fleetTable(),
		spec: func(obj runtime.Object) any { return obj.(*v1alpha1.Fleet).Spec },
		validate: func(fleet string, obj runtime.Object) field.ErrorList {
			f := obj.(*v1alpha1.Fleet)
			return append(v1alpha1.ValidateFleet(f, fleet), checkRecovery(f.Spec.RecoveryRecipients)...)
		},
	}
}

func clusterKind() kind {
	return kind{
		kind: "Cluster", owns: true, plural: "clusters", singular: "cluster", short: []string{"cl"},
		new: newOf[v1alpha1.Cluster], newList: newOf[v1alpha1.ClusterList], table: clusterTable(),
		spec: func(obj runtime.Object) any { return obj.(*v1alpha1.Cluster).Spec },
		selectable: func(obj runtime.Object) map[string]string {
			c := obj.(*v1alpha1.Cluster)
			return map[string]string{"spec.region": c.Spec.Region, "spec.zone": c.Spec.Zone, "spec.voting": string(c.Spec.Voting),
				"spec.rights": string(c.Spec.Rights), "status.voter": string(c.Status.Voter)}
		},
		keepStatus: func(obj, old runtime.Object) {
			obj.(*v1alpha1.Cluster).Status = statusOf(old, func(c *v1alpha1.Cluster) v1alpha1.ClusterStatus { return c.Status })
		},
		prepare: func(obj runtime.Object) { v1alpha1.MirrorTopology(obj.(*v1alpha1.Cluster)) },
		validate: func(_ string, obj runtime.Object) field.ErrorList {
			return v1alpha1.ValidateCluster(obj.(*v1alpha1.Cluster))
		},
	}
}

func userKind() kind {
	return kind{
		kind: "User", owns: true, plural: "users", singular: "user",
		new: newOf[v1alpha1.User], newList: newOf[v1alpha1.UserList], table: userTable(),
		spec: func(obj runtime.Object) any { return obj.(*v1alpha1.User).Spec },
		selectable: func(obj runtime.Object) map[string]string {
			return map[string]string{"spec.role": string(obj.(*v1alpha1.User).Spec.Role)}
		},
		validate: func(_ string, obj runtime.Object) field.ErrorList {
			return v1alpha1.ValidateUser(obj.(*v1alpha1.User))
		},
	}
}

func bundleKind() kind {
	return kind{
		kind: "Bundle", owns: true, plural: "bundles", singular: "bundle", short: []string{"bu"},
		new: newOf[v1alpha1.Bundle], newList: newOf[v1alpha1.BundleList], table: bundleTable(),
		spec: func(obj runtime.Object) any { return obj.(*v1alpha1.Bundle).Spec },
		keepStatus: func(obj, old runtime.Object) {
			obj.(*v1alpha1.Bundle).Status = statusOf(old, func(b *v1alpha1.Bundle) v1alpha1.BundleStatus { return b.Status })
		},
		prepare: func(obj runtime.Object) { obj.(*v1alpha1.Bundle).Spec.CanonicalizeManifests() },
		validate: func(_ string, obj runtime.Object) field.ErrorList {
			return validateBundle(obj.(*v1alpha1.Bundle))
		},
	}
}

// validateBundle checks a bundle, and then whether what it says of clusters can be true of any.
func validateBundle(b *v1alpha1.Bundle) field.ErrorList {
	errs := v1alpha1.ValidateBundle(b)
	if said := b.Spec.Placement.Expression; said != "" && len(errs) == 0 {
		if err := express.CheckCondition(said); err != nil {
			errs = append(errs, field.Invalid(field.NewPath("spec", "placement", "expression"), said, err.Error()))
		}
	}
	if len(errs) > 0 {
		return errs
	}
	return render.Check(b.Spec.BundleContent)
}

func revisionKind() kind {
	return kind{
		kind: "BundleRevision", plural: "bundlerevisions", singular: "bundlerevision", short: []string{"brev"},
		new: newOf[v1alpha1.BundleRevision], newList: newOf[v1alpha1.BundleRevisionList], table: revisionTable(),
		spec: func(obj runtime.Object) any { return obj.(*v1alpha1.BundleRevision).Spec },
		selectable: func(obj runtime.Object) map[string]string {
			return map[string]string{"spec.bundle": obj.(*v1alpha1.BundleRevision).Spec.Bundle}
		},
	}
}

func rolloutKind() kind {
	return kind{
		kind: "Rollout", plural: "rollouts", singular: "rollout", short: []string{"ro"},
		new: newOf[v1alpha1.Rollout], newList: newOf[v1alpha1.RolloutList], table: rolloutTable(),
		spec: func(obj runtime.Object) any { return obj.(*v1alpha1.Rollout).Spec },
		selectable: func(obj runtime.Object) map[string]string {
			r := obj.(*v1alpha1.Rollout)
			return map[string]string{"spec.bundle": r.Spec.Bundle, "status.phase": string(r.Status.Phase)}
		},
		keepStatus: func(obj, old runtime.Object) {
			obj.(*v1alpha1.Rollout).Status = statusOf(old, func(r *v1alpha1.Rollout) v1alpha1.RolloutStatus { return r.Status })
		},
	}
}

func workKind() kind {
	return kind{
		kind: "Work", plural: "works", singular: "work", short: []string{"wk"},
		new: newOf[v1alpha1.Work], newList: newOf[v1alpha1.WorkList], table: workTable(), computed: true,
		selectable: func(obj runtime.Object) map[string]string {
			w := obj.(*v1alpha1.Work)
			return map[string]string{"spec.bundle": w.Spec.Bundle, "spec.cluster": w.Spec.Cluster, "status.health": string(w.Status.Health)}
		},
	}
}

func metricsKind() kind {
	return kind{
		kind: "ClusterMetrics", plural: "clustermetrics", singular: "clustermetrics", short: []string{"clm"}, computed: true,
		new: newOf[v1alpha1.ClusterMetrics], newList: newOf[v1alpha1.ClusterMetricsList], table: metricsTable(),
	}
}

// newOf makes an empty object of a type whose pointer is one.
func newOf[T any, P interface {
	*T
	runtime.Object
}]() runtime.Object {
	return P(new(T))
}

// statusOf is the status of an object that may not be there, or another part of it.
func statusOf[T, S any](old runtime.Object, status func(*T) S) (s S) {
	if obj, ok := any(old).(*T); ok && obj != nil {
		return status(obj)
	}
	return s
}

// fieldLabel says which fields a selector may name.
func (k kind) fieldLabel(label, value string) (string, string, error) {
	if slices.Contains(k.fieldLabels(), label) {
		return label, value, nil
	}
	return "", "", fmt.Errorf("%s cannot be selected by field %q; they can by %s", k.plural, label, strings.Join(k.fieldLabels(), ", "))
}

func (k kind) fieldLabels() []string {
	labels := []string{"metadata.name"}
	if k.selectable != nil {
		labels = append(labels, slices.Sorted(maps.Keys(k.selectable(k.new())))...)
	}
	return labels
}

// changed says whether a new generation is due.
func (k kind) changed(obj, old runtime.Object) bool {
	return !same.DeepEqual(k.spec(obj), k.spec(old))
}

// same compares specs. Manifests are compared at once: byte by byte by reflection, megabytes take a second.
var same = func() conversion.Equalities {
	equal := apiequality.Semantic.Copy()
	err := equal.AddFunc(func(a, b runtime.RawExtension) bool { return bytes.Equal(a.Raw, b.Raw) })
	if err != nil {
		panic(err) // the function has the wrong shape
	}
	return equal
}()
